"""A volume appears in its container and nowhere else: not on the host, whatever a release or a container put on the way to it."""

import os
import signal
import time
from pathlib import Path

import pytest
from harness import forge
from harness.broker import Broker
from harness.device import Device
from harness.fake_service import COMMITTED, REFUSED, FakeService
from harness.operator import Operator, Refused, run
from harness.process import wait_for
from harness.trees import make_tree

GROUP, PRODUCT = "test/line", "test-box"


class World:
    """A real device and real containers; in place of the broker's plugin stands one that sends anything."""

    def __init__(self, folder: Path, keys, name: str):
        self.signer = forge.Key.load(keys.release)
        self.tree = make_tree(folder / "tree", "1.0")
        # Where a link of a container leads when the host follows it.
        self.host = folder / "host"
        self.host.mkdir()
        self.broker = Broker(folder / "broker", plugin=False).start()
        self.service = FakeService(self.broker.port, gate_key=forge.Key.load(keys.gate), root=keys.root)
        self.device = Device(folder / "device", name, self.broker.port, keys.root).start()
        self.sequence = 0

    def close(self) -> None:
        self.device.clean_up()
        self.service.__exit__()
        self.broker.stop()

    def pack(self, *more: forge.Entry) -> forge.Pack:
        return forge.Pack(sorted([*forge.read_folder(self.tree), *more], key=lambda entry: entry.path.encode().replace(b"/", b"\0")))

    def offer(self, pack: forge.Pack, *paths: str) -> bytes:
        """A release of one container with a volume at each of the paths."""
        self.sequence += 1
        volumes = [{"name": f"v{i}", "path": path, "mode": 0o755, "uid": 0, "gid": 0} for i, path in enumerate(paths)]
        manifest = {
            "product": PRODUCT, "release": f"{self.sequence}.0", "sequence": self.sequence, "issued_ms": int(time.time() * 1000),
            "groups": [GROUP], "artifacts": [pack.value()], "policy": {"salt": [1]},
            "containers": [{"name": "app", "artifact": forge.hash_value(pack.artifact), "init": ["/sbin/service"],
                            "health": {"settle_ms": 200}, "volumes": volumes}],
        }
        envelope = forge.seal(forge.MANIFEST, forge.flat("manifest", manifest), self.signer)
        return self.service.offer(envelope, group=GROUP, product=PRODUCT, sequence=self.sequence, packs=[pack])

    def run(self, pack: forge.Pack, *paths: str) -> None:
        self.service.wait_for_step({COMMITTED}, self.offer(pack, *paths))

    def check_refused(self, pack: forge.Pack, path: str, *words: str, bytes_max: int = 0) -> None:
        """Refused with a reason that says all of this, for no more bytes than these; the container runs on."""
        sent, pid = self.service.bytes_sent, self.device.container_pid("app")
        report = self.service.wait_for_step({REFUSED}, self.offer(pack, path))
        for word in ("container 'app'", "volume 'v0'", path, *words):
            assert word in report["reason"], report["reason"]
        assert self.service.bytes_sent - sent <= bytes_max
        assert self.device.container_pid("app") == pid > 0
        self.check_host()

    def check_host(self) -> None:
        assert list(self.host.rglob("*")) == []


@pytest.fixture
def world(tmp_path, keys, name):
    made = World(tmp_path, keys, name)
    yield made
    made.close()


def link(path: str, target: object) -> forge.Entry:
    return forge.Entry(path, 2, target=str(target))


def test_a_tree_with_a_link_on_the_way_is_refused_for_its_head_alone(world):
    world.run(world.pack())
    for path, target in (("/data/etc/evil.d", world.host), ("/data", world.host), ("/data/sub", "var")):
        pack = world.pack(link("data", target))
        world.check_refused(pack, path, "passes a link: its tree has /data -> ", bytes_max=sum(len(chunk.sent) for chunk in pack.head))


def test_a_tree_with_a_file_on_the_way_is_refused_for_its_head_alone(world):
    world.run(world.pack())
    pack = world.pack()
    world.check_refused(pack, "/sbin/service/data", "passes a file", bytes_max=sum(len(chunk.sent) for chunk in pack.head))


def test_the_kernels_folders_are_refused_before_the_first_byte(world):
    world.run(world.pack())
    for path in ("/proc", "/proc/sys", "/sys/fs/cgroup", "/dev", "/dev/shm"):
        world.check_refused(world.pack(), path, "would cover")


def test_a_link_that_a_container_plants_between_two_starts_leads_nowhere(world):
    pack = world.pack()
    world.run(pack, "/made/etc/evil.d", "/var/lib/data")
    device = world.device
    assert device.ask("app", "/bin/busybox", "sh", "-c", "echo kept > /var/lib/data/row && mv /made /moved && "
                      f"ln -s {world.host} /made && cat /var/lib/data/row") == "kept\n"
    os.kill(device.container_pid("app"), signal.SIGKILL)
    wait_for("the client says why the container does not start", lambda: "passes a link: /made " in device.log_text())
    assert "volume 'v0' at /made/etc/evil.d" in device.log_text()
    world.check_host()
    # A release that puts its volume elsewhere gets the device out of it.
    world.run(pack, "/other", "/var/lib/data")
    assert device.ask("app", "/bin/cat", "/var/lib/data/row") == "kept\n"
    world.check_host()


def test_volumes_are_where_they_belong(world):
    world.run(world.pack(), "/data/outer/inner", "/data/outer", "/with space")
    device = world.device
    device.ask("app", "/bin/busybox", "touch", "/data/outer/inner/a", "/data/outer/b", "/with space/c")
    volumes = device.state_dir / "volumes"
    assert (volumes / "v0/a").exists() and (volumes / "v1/b").exists() and (volumes / "v2/c").exists()
    os.kill(device.container_pid("app"), signal.SIGKILL)

    def is_back() -> bool:
        try:
            return device.ask("app", "/bin/ls", "/data/outer/inner", "/with space").split() == ["/data/outer/inner:", "a", "/with", "space:", "c"]
        except AssertionError:
            return False
    wait_for("the container runs again with its volumes", is_back)


def test_publish_says_it_before_anything_is_sent(tmp_path, keys):
    tree = make_tree(tmp_path / "tree", "1.0")
    (tree / "run").mkdir()
    (tree / "var/run").symlink_to("/run")
    operator = Operator(tmp_path / "operator", 1, keys)
    artifact = operator.pack(tree)

    def publish(path: str) -> dict:
        app = {"name": "app", "artifact": str(artifact), "init": ["/sbin/service"], "volumes": [{"name": "data", "path": path}]}
        spec = operator.describe("1.0", artifact, containers=[app], sequence=1)
        return run(["publish", str(spec), "--dry-run", "--no-delta", "--root", str(keys.root), "--key", str(keys.release)])

    for path, words in (("/var/run/app", "/var/run -> /run"), ("/sbin/service", "passes a file"), ("/proc/sys", "would cover"),
                        ("/dev", "would cover"), ("/a/../b", "'..'"), ("/", "below '/'")):
        with pytest.raises(Refused, match="volume 'data' at " + path.replace(".", r"\.")) as refused:
            publish(path)
        assert words in str(refused.value)
    assert publish("/run/app")["dry_run"]
