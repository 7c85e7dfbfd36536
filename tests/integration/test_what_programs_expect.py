"""What ordinary programs take for granted, in containers made from ordinary trees: an end that costs nothing, memory to share, names, a /tmp."""

import os
import time
from pathlib import Path

import pytest
from harness import forge
from harness.broker import Broker
from harness.device import Device
from harness.fake_service import COMMITTED, REFUSED, FakeService
from harness.operator import Refused, health
from harness.site import Site
from harness.trees import make_tree


@pytest.fixture
def site(tmp_path, keys):
    with Site(tmp_path, keys) as made:
        yield made


def publish(site: Site, release: str, init: str, **changes: object) -> str:
    """A release whose /sbin/init is a shell script, or busybox's init with this inittab; its probe succeeds."""
    tree = site.tree(release)
    if init.startswith("::"):
        (tree / "sbin/init").symlink_to("../bin/busybox")
        (tree / "etc/inittab").write_text(init + "\n")
    else:
        (tree / "sbin/init").write_text(f"#!/bin/sh\n{init}\n")
        os.chmod(tree / "sbin/init", 0o755)
    app = {"name": "app", "artifact": str(site.operator.pack(tree)), "health": health("/bin/true", settle="200ms")} | changes
    return site.operator.publish(release, tree, containers=[app])["rollout"]


def reason_of(site: Site, rollout: str) -> str:
    """Of the report of its only device."""
    (member,) = site.operator.ask("rollout", "show", rollout, "--devices")["members"]
    return member["reason"]


def test_a_plain_program_as_init_is_not_waited_for(site):
    # Whoever waits for it waits longer than this test.
    device = site.add_device("a", settings={"stop_timeout_s": 600})
    for release, init in (("1.0", "exec /bin/sleep 1000000"), ("2.0", "while :; do /bin/sleep 1; done"), ("3.0", "/bin/sleep 1000000"),
                          ("4.0", "exec /bin/sleep 1000000")):
        rollout = publish(site, release, init)
        site.wait_for_counts(rollout, {"committed": 1})
        assert reason_of(site, rollout) == ""
    assert device.log_text().count("its first program takes no signal (SIGPWR would be dropped)") == 2
    # A shell ends with its last command.
    assert f"container {device.id}.app is stopped, in " in device.log_text()


def test_a_program_that_takes_sigterm_as_init_gets_it(site):
    device = site.add_device("a", settings={"stop_timeout_s": 600})
    note = [{"name": "data", "path": "/data"}]
    script = "trap 'echo ended > /data/note; exit' TERM\nwhile :; do /bin/sleep 0.1; done"
    site.wait_for_counts(publish(site, "1.0", script, volumes=note), {"committed": 1})
    site.wait_for_counts(publish(site, "2.0", "exec /bin/sleep 1000000", volumes=note), {"committed": 1})
    assert (device.state_dir / "volumes/data/note").read_text() == "ended\n"


def test_busyboxs_init_ends_its_services_and_is_not_waited_for(site):
    """It asks for a halt then, which a container may not have, and would stay."""
    device = site.add_device("a", settings={"stop_timeout_s": 600})
    note = [{"name": "data", "path": "/data"}]
    service = "::respawn:/bin/sh -c 'trap \"echo ended > /data/note; exit\" TERM; while :; do /bin/sleep 0.1; done'"
    site.wait_for_counts(publish(site, "1.0", service, volumes=note), {"committed": 1})
    rollout = publish(site, "2.0", "exec /bin/sleep 1000000", volumes=note)
    site.wait_for_counts(rollout, {"committed": 1})
    assert (device.state_dir / "volumes/data/note").read_text() == "ended\n"
    assert reason_of(site, rollout) == ""


def test_what_a_slow_program_costs_is_in_the_report(site):
    device = site.add_device("a")
    site.wait_for_counts(publish(site, "1.0", "trap : TERM PWR\nwhile :; do /bin/sleep 0.1; done"), {"committed": 1})
    rollout = publish(site, "2.0", "exec /bin/sleep 1000000")
    site.wait_for_counts(rollout, {"committed": 1})
    said = f"container {device.id}.app did not react to SIGPWR in "
    assert said in device.log_text()
    assert reason_of(site, rollout).startswith(said)


def test_a_container_has_tmp_shared_memory_and_names(site):
    device = site.add_device("a", settings={"container_network": "host"})
    site.wait_for_counts(publish(site, "1.0", "exec /bin/sleep 1000000"), {"committed": 1})

    def sh(command: str) -> str:
        return device.ask("app", "/bin/busybox", "sh", "-c", command)

    mounts = {line.split()[1]: line.split() for line in sh("/bin/cat /proc/mounts").splitlines()}
    for folder in ("/dev/shm", "/tmp"):
        assert mounts[folder][2] == "tmpfs"
        assert "size=" in mounts[folder][3] and "nr_inodes=" in mounts[folder][3]
        assert "noexec" in mounts[folder][3].split(",") or folder == "/tmp"
    assert sh("/bin/busybox stat -c %a /tmp /dev/shm").split() == ["1777", "1777"]
    assert "127.0.1.1 app\n" in sh("/bin/cat /etc/hosts")
    host = Path("/etc/resolv.conf").read_text() if Path("/etc/resolv.conf").exists() else ""
    if host:
        assert sh("/bin/cat /etc/resolv.conf").split("\n", 1)[1].rstrip() == host.rstrip()
    # A folder of the tree can be renamed; it is not copied.
    assert sh("/bin/busybox mv /usr/share /usr/other && /bin/ls /usr").split() == ["other"]
    (moved,) = device.state_dir.glob("revisions/*/containers/app/upper/usr/other")
    assert os.getxattr(moved, "trusted.overlay.redirect").endswith(b"share")


def test_a_container_without_a_network_gets_no_resolver(site):
    device = site.add_device("a")
    site.wait_for_counts(publish(site, "1.0", "exec /bin/sleep 1000000"), {"committed": 1})
    given = device.ask("app", "/bin/ls", "/etc").split()
    assert "hosts" in given and "resolv.conf" not in given
    assert "localtime" in given or not Path("/etc/localtime").exists()
    assert not (device.state_dir / "names").exists()


def test_a_folder_of_two_containers_is_refused_unless_both_say_so(tmp_path, keys, name):
    """Also by a device that gets such a release from elsewhere."""
    signer = forge.Key.load(keys.release)
    tree = make_tree(tmp_path / "tree", "1.0")
    pack = forge.Pack(forge.read_folder(tree))

    def manifest(sequence: int, shared: bool) -> bytes:
        containers = [{"name": each, "artifact": forge.hash_value(pack.artifact), "init": [init], "health": {"settle_ms": 200},
                       "volumes": [{"name": "data", "path": "/data", "mode": 0o755, "uid": 0, "gid": 0, "shared": shared}]}
                      for each, init in (("web", "/sbin/service"), ("feed", "/sbin/service"))]
        return forge.seal(forge.MANIFEST, forge.flat("manifest", {
            "product": "test-box", "release": f"{sequence}.0", "sequence": sequence, "issued_ms": int(time.time() * 1000), "groups": ["test/line"],
            "artifacts": [pack.value()], "policy": {"salt": [1]}, "containers": containers}), signer)

    broker = Broker(tmp_path / "broker", plugin=False).start()
    with FakeService(broker.port, gate_key=forge.Key.load(keys.gate), root=keys.root) as service:
        device = Device(tmp_path / "device", name, broker.port, keys.root).start()
        try:
            offered = service.offer(manifest(1, False), group="test/line", product="test-box", sequence=1, packs=[pack])
            reason = service.wait_for_step({REFUSED}, offered)["reason"]
            assert "volume 'data' of container 'feed' is that of 'web' too" in reason
            offered = service.offer(manifest(2, True), group="test/line", product="test-box", sequence=2, packs=[pack])
            service.wait_for_step({COMMITTED}, offered)
            device.ask("web", "/bin/busybox", "touch", "/data/note")
            assert device.ask("feed", "/bin/ls", "/data").split() == ["note"]
        finally:
            device.clean_up()
    broker.stop()


def test_publish_refuses_a_folder_of_two_containers_too(site):
    artifact = str(site.operator.pack(site.tree("1.0")))

    def publish_two(**said: object) -> None:
        containers = [{"name": each, "artifact": artifact, "init": ["/sbin/service"], "volumes": [{"name": "data", "path": "/data"} | said]}
                      for each in ("web", "feed")]
        site.operator.publish("1.0", site.tree("1.0"), containers=containers, options=("--dry-run",))

    with pytest.raises(Refused, match="say that it is shared"):
        publish_two()
    publish_two(shared=True)
