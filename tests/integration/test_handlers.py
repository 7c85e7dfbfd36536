"""Payloads that are no containers: a host handler's, and the client itself; tried, committed and taken back with the release's containers."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from harness.operator import health
from harness.process import DEVICE, HANGS_S, wait_for
from harness.site import Site

# What it was called with, and what is in use: a file that stands for the flash of another processor.
HANDLER = """#!/bin/sh
echo "$1 $(cat "$INSTAR_PAYLOAD/version" 2>/dev/null || echo nothing)" >> {folder}/calls
case $1 in
  install) [ -e "$INSTAR_PAYLOAD/broken" ] && {{ echo "flash of the modem: write error" >&2; exit 4; }}
           if [ -e "$INSTAR_PAYLOAD/boots" ] && [ "$(cat {folder}/boot)" = "$(cat "$INSTAR_STATE/at" 2>/dev/null || cat {folder}/boot)" ]; then
             cp {folder}/boot "$INSTAR_STATE/at"; exit 10
           fi
           cp "$INSTAR_PAYLOAD/version" {folder}/flash ;;
  verify) cmp -s "$INSTAR_PAYLOAD/version" {folder}/flash && [ ! -e "$INSTAR_PAYLOAD/sick" ] || {{ echo "the modem does not answer"; exit 1; }} ;;
  rollback) if [ -n "$INSTAR_PAYLOAD" ]; then cp "$INSTAR_PAYLOAD/version" {folder}/flash; else rm -f {folder}/flash; fi ;;
esac
"""


@pytest.fixture
def site(tmp_path, keys):
    with Site(tmp_path, keys) as site:
        yield site


def handler(folder: Path) -> Path:
    (folder / "handlers").mkdir(parents=True)
    (folder / "boot").write_text("1\n")
    program = folder / "handlers/modem"
    program.write_text(HANDLER.format(folder=folder))
    program.chmod(0o755)
    return program.parent


def payload(site, version: str, *marks: str) -> Path:
    tree = site.folder / "payloads" / version
    tree.mkdir(parents=True)
    (tree / "version").write_text(version + "\n")
    (tree / "image").write_bytes(os.urandom(100_000))
    for mark in marks:
        (tree / mark).write_text("")
    return site.operator.pack(tree)


def containers(site, app: str, modem: Path | None) -> list[dict]:
    """`app`: the release whose tree the container has, an older one's to leave it as it is."""
    tree = site.folder / "trees" / app
    artifact = site.operator.pack(tree if tree.exists() else site.tree(app))
    found: list[dict] = [{"name": "app", "artifact": str(artifact), "init": ["/sbin/service"], "health": health()}]
    if modem:
        found.append({"name": "modem", "artifact": str(modem), "handler": "modem", "health": {"settle": "2s"}})
    return found


def publish(site, release: str, parts: list[dict]) -> str:
    return site.operator.publish(release, site.folder / "trees/1.0", containers=parts)["rollout"]


def calls(folder: Path) -> list[str]:
    """Without verify, which is called as often as the try lasts."""
    path = folder / "calls"
    lines = path.read_text().splitlines() if path.exists() else []
    path.unlink(missing_ok=True)
    return [line for line in lines if not line.startswith("verify")]


def test_the_plan_knows_who_has_no_handler(site, tmp_path):
    with_modem = site.add_device("modem", settings={"handlers_dir": handler(tmp_path / "host")})
    without = site.add_device("plain", settings={"handlers_dir": tmp_path / "none"})
    for device in (with_modem, without):
        wait_for(f"{device.id} is there", lambda device=device: any(row["device"] == device.id for row in site.operator.ask("devices", "list")["devices"]))
    assert site.operator.device(with_modem.id)["handlers"] == ["modem"]
    assert site.operator.device(without.id)["handlers"] == []

    site.tree("1.0")
    parts = containers(site, "1.0", payload(site, "fw-1"))
    described = site.operator.describe("1.0", site.operator.pack(site.folder / "trees/1.0"), containers=parts)
    planned = site.operator.ask("plan", str(described), "--root", str(site.keys.root), "--key", str(site.keys.release))
    (refusal,) = planned["plan"]["groups"][0]["refusals"]
    assert refusal["devices"] == [without.id] and "handler modem" in refusal["reason"], refusal
    site.wait_for_counts(publish(site, "1.0", parts), {"committed": 1, "refused": 1})
    assert with_modem.release == "1.0"


def test_firmware_goes_and_comes_back_with_its_release(site, tmp_path):
    folder = tmp_path / "host"
    device = site.add_device("modem", settings={"handlers_dir": handler(folder)})
    site.wait_for_counts(publish(site, "1.0", containers(site, "1.0", payload(site, "fw-1"))), {"committed": 1})
    wait_for("the handler is told of the commit", lambda: "commit fw-1" in (folder / "calls").read_text())
    assert calls(folder) == ["install fw-1", "commit fw-1"]
    assert (folder / "flash").read_text() == "fw-1\n"
    app = device.container_pid("app")

    # One that does not work is taken back, and the container, which is the same, is not touched.
    sick = publish(site, "2.0", containers(site, "1.0", payload(site, "fw-2", "sick")))
    history = site.wait_for_counts(sick, {"rolled_back": 1})
    assert "the modem does not answer" in str(history) + device.log_text()
    assert calls(folder) == ["install fw-2", "rollback fw-1"]
    assert (folder / "flash").read_text() == "fw-1\n"

    # One that cannot even be written, with a container that would change.
    broken = publish(site, "3.0", containers(site, "3.0", payload(site, "fw-3", "broken")))
    site.wait_for_counts(broken, {"rolled_back": 1})
    assert "handler modem, install of payload modem: exit code 4: flash of the modem: write error" in device.log_text()
    assert device.container_pid("app") == app, "no container was stopped for it"
    assert (folder / "flash").read_text() == "fw-1\n"
    calls(folder)

    # A good one with a container; and a daemon that starts again has nothing to do.
    site.wait_for_counts(publish(site, "4.0", containers(site, "4.0", payload(site, "fw-4"))), {"committed": 1})
    assert (folder / "flash").read_text() == "fw-4\n"
    wait_for("the handler is told of the commit", lambda: "commit fw-4" in (folder / "calls").read_text())
    calls(folder)
    device.restart()
    wait_for("the device is back", lambda: site.operator.device(device.id)["boot"] == 2 and site.operator.device(device.id)["online"])
    assert calls(folder) == []
    assert device.ask("app", "/bin/cat", "/www/version") == "4.0\n"


def test_a_payload_that_needs_a_boot(site, tmp_path):
    folder = tmp_path / "host"
    boots = tmp_path / "reboot"
    boots.write_text(f"#!/bin/sh\necho asked > {folder}/asked\n")
    boots.chmod(0o755)
    device = site.add_device("boots", settings={"handlers_dir": handler(folder), "reboot_command": boots})
    site.wait_for_counts(publish(site, "1.0", containers(site, "1.0", None)), {"committed": 1})
    rollout = publish(site, "2.0", containers(site, "1.0", payload(site, "fw-2", "boots")))
    wait_for("the device is told to boot", (folder / "asked").exists)
    assert device.status()["phase"] == "trying"
    # The power goes instead; after it the handler is asked again, and says that it has come to what it should.
    device.kill()
    (folder / "boot").write_text("2\n")
    device.start()
    site.wait_for_counts(rollout, {"committed": 1})
    assert [line for line in calls(folder) if line.startswith("install")] == ["install fw-2", "install fw-2"]
    assert (folder / "flash").read_text() == "fw-2\n"


def test_a_device_without_the_handler_refuses_before_the_first_byte(site):
    device = site.add_device("plain")
    site.wait_for_counts(publish(site, "1.0", containers(site, "1.0", None)), {"committed": 1})
    sent = site.broker.bytes_sent(device.id)
    site.wait_for_counts(publish(site, "2.0", containers(site, "1.0", payload(site, "fw-2"))), {"refused": 1})
    assert "for the handler modem, and this device has none of that name" in device.log_text()
    assert site.broker.bytes_sent(device.id) == sent


def test_the_handler_of_the_documentation(tmp_path):
    """A boot loader of files: `slot` is what it starts next, and what it started is on the kernel's command line."""
    page = (Path(__file__).resolve().parents[2] / "docs/handlers.md").read_text()
    handler = tmp_path / "kernel"
    script = page.split("```sh\n")[1].split("```")[0]
    handler.write_text(script.replace("/dev/disk/by-partlabel/", f"{tmp_path}/"))
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "fw_setenv").write_text(f"#!/bin/sh\necho \"$2\" > {tmp_path}/$1\n")
    (tools / "fw_setenv").chmod(0o755)
    for name in ("state", "payload"):
        (tmp_path / name).mkdir()
    (tmp_path / "payload/zImage").write_text("a kernel")
    command_line = tmp_path / "cmdline"

    def boot(slot: str) -> None:
        command_line.write_text(f"console=ttyS0 slot={slot} quiet\n")

    def call(action: str, artifact: str = "1111", payload: str = str(tmp_path / "payload")) -> int:
        environment = {"PATH": f"{tools}:/usr/bin:/bin", "INSTAR_STATE": str(tmp_path / "state"), "INSTAR_PAYLOAD": payload, "INSTAR_ARTIFACT": artifact}
        script = f"mount --bind {command_line} /proc/cmdline && exec /bin/sh {handler} {action}"
        return subprocess.run(["unshare", "-m", "/bin/sh", "-c", script], env=environment, capture_output=True).returncode

    def slot() -> str:
        return (tmp_path / "slot").read_text().strip()

    boot("a")
    assert call("install") == 10 and slot() == "b"
    assert (tmp_path / "kernel-b").read_text() == "a kernel"
    boot("b")
    assert [call("install"), call("verify"), call("commit")] == [0, 0, 0]
    assert (tmp_path / "upgrade_available").read_text() == "0\n"
    # The next one does not come up: the boot loader goes back, and so does the release.
    assert call("install", "2222") == 10 and slot() == "a"
    assert call("install", "2222") == 1, "it did not boot what it should"
    assert call("verify", "2222") == 1
    assert call("rollback") == 0 and slot() == "b"
    # One that comes up and is not well.
    assert call("install", "3333") == 10
    boot("a")
    assert call("install", "3333") == 0
    assert call("rollback") == 10 and slot() == "b"
    boot("b")
    assert call("rollback") == 0


# --- the client itself ------------------------------------------------------------------------------------
def client_tree(site, name: str, program: str | None = None, note: bytes = b"") -> Path:
    """A client as a payload. `program`: a script instead of it; `note`: what makes it another artifact, behind the end of the program."""
    tree = site.folder / "clients" / name
    tree.mkdir(parents=True)
    if program is None:
        shutil.copy(DEVICE, tree / "instar-device")
        with open(tree / "instar-device", "ab") as file:
            file.write(note or name.encode())
    else:
        (tree / "instar-device").write_text(program)
    (tree / "instar-device").chmod(0o755)
    return site.operator.pack(tree)


def with_client(site, app: str, client: Path) -> list[dict]:
    return [*containers(site, app, None), {"name": "client", "artifact": str(client), "handler": "instar-client", "health": {"settle": "1s"}}]


def program_of(device) -> str:
    return os.readlink(f"/proc/{device.process.pid}/exe")


def test_the_client_updates_itself(site):
    device = site.add_device("self", settings={"self_update": "yes"})
    site.wait_for_counts(publish(site, "1.0", containers(site, "1.0", None)), {"committed": 1})
    system = program_of(device)
    pid = device.process.pid

    site.wait_for_counts(publish(site, "2.0", with_client(site, "2.0", client_tree(site, "c2"))), {"committed": 1})
    assert device.process.pid == pid, "the service manager has noticed nothing"
    second = program_of(device)
    assert second != system and second.startswith(str(device.state_dir / "client"))
    assert device.status()["client"] in second
    assert device.ask("app", "/bin/cat", "/www/version") == "2.0\n"

    # One that cannot run at all; one that says its version, starts and ends; one that hangs before it receives anything.
    bad = {
        "c3": "#!/bin/sh\nexit 126\n",
        "c4": "#!/bin/sh\n[ \"$1\" = version ] && exit 0\nexit 1\n",
    }
    for number, (name, program) in enumerate(bad.items(), 3):
        rollout = publish(site, f"{number}.0", with_client(site, "2.0", client_tree(site, name, program)))
        # Who starts a service again, as a service manager does.
        def ended_and_started(rollout=rollout) -> bool:
            if not device.process.is_running():
                device.start()
            return site.counts(rollout) == {"rolled_back": 1}
        wait_for(f"release {number}.0 is taken back: {device.process.log}", ended_and_started, interval_s=0.3)
        wait_for("the client before runs", lambda: program_of(device) == second)
    assert "in a row and did not last" in device.log_text()
    assert device.status()["running"]["release"] == "2.0"

    # From a client to the next, and a release without one leaves it as it is.
    site.wait_for_counts(publish(site, "5.0", with_client(site, "5.0", client_tree(site, "c5"))), {"committed": 1})
    fifth = program_of(device)
    assert fifth not in (system, second)
    assert len(list((device.state_dir / "client").glob("?" * 64))) == 1, "the one before is gone"
    site.wait_for_counts(publish(site, "6.0", containers(site, "6.0", None)), {"committed": 1})
    device.restart()
    wait_for("the same client runs", lambda: program_of(device) == fifth)
    assert device.ask("app", "/bin/cat", "/www/version") == "6.0\n"


def test_a_client_that_does_not_reach_the_broker_is_taken_back(site):
    device = site.add_device("cut", settings={"self_update": "yes", "broker_grace_s": 3})
    site.wait_for_counts(publish(site, "1.0", containers(site, "1.0", None)), {"committed": 1})
    system = program_of(device)
    # A real client in a network of its own, where nobody is.
    script = f"#!/bin/sh\n[ \"$1\" = version ] && exit 0\nexec unshare -n {DEVICE} \"$@\"\n"
    rollout = publish(site, "2.0", with_client(site, "1.0", client_tree(site, "lost", script)))
    wait_for(f"the release is taken back: {device.process.log}", lambda: (device.status().get("last_outcome") or {}).get("step") == "rolled_back")
    wait_for("its log says why", lambda: "the broker was reachable just before the switch and is not since" in device.log_text())
    # The process is still the one that was cut off from the network.
    device.kill()
    device.start()
    site.wait_for_counts(rollout, {"rolled_back": 1})
    assert program_of(device) == system


def test_a_client_from_a_file(site):
    device = site.add_device("stick", settings={"self_update": "yes"}, start=False)
    device.configure()
    bundle = site.folder / "1.0.bundle"
    site.tree("1.0")
    site.operator.publish("1.0", site.folder / "trees/1.0", containers=with_client(site, "1.0", client_tree(site, "c1")), options=("--bundle", str(bundle)))
    installed = subprocess.run([str(DEVICE), "install", str(bundle), "--config", str(device.config)], capture_output=True, text=True, timeout=2 * HANGS_S)
    assert installed.returncode == 0, installed.stderr
    assert "release 1.0 is committed as revision 1" in installed.stdout
    device.start()
    wait_for("the client of the release runs", lambda: program_of(device).startswith(str(device.state_dir / "client")))
    assert device.ask("app", "/bin/cat", "/www/version") == "1.0\n"


def test_without_the_owners_leave_no_client_is_taken(site):
    device = site.add_device("fixed")
    site.wait_for_counts(publish(site, "1.0", containers(site, "1.0", None)), {"committed": 1})
    site.wait_for_counts(publish(site, "2.0", with_client(site, "1.0", client_tree(site, "c2"))), {"refused": 1})
    assert "self_update = yes" in device.log_text()


# --- the factory revision ----------------------------------------------------------------------------------
def test_a_device_that_has_lost_its_state_goes_on_from_the_factory_revision(site):
    device = site.add_device("plant")
    site.wait_for_counts(publish(site, "1.0", containers(site, "1.0", None)), {"committed": 1})

    def set_factory() -> subprocess.CompletedProcess:
        return subprocess.run([str(DEVICE), "set-factory", "--config", str(device.config)], capture_output=True, text=True)

    running = set_factory()
    assert running.returncode == 1 and "stop the client first" in running.stderr
    device.stop()
    assert set_factory().returncode == 0
    device.start()
    for release in ("2.0", "3.0"):
        site.wait_for_counts(publish(site, release, containers(site, release, None)), {"committed": 1})
    assert device.status()["factory"]["release"] == "1.0"
    assert (device.state_dir / "revisions/1").exists()
    assert not (device.state_dir / "revisions/2").exists() or device.status()["previous"]["revision"] == 2

    device.kill()
    state = device.state_dir / "state"
    state.write_bytes(state.read_bytes()[:-9] + b"rotten!!!")
    # What runs is stopped too, as by a loss of power.
    for name in device.containers():
        subprocess.run(["lxc-stop", "-P", str(device.lxc_path), "-n", name, "-k"], capture_output=True)
    site.broker.stop()
    device.start()
    device.wait_for_release("1.0")
    wait_for("the factory release runs", lambda: device.container_pid("app") > 0)
    assert device.ask("app", "/bin/cat", "/www/version") == "1.0\n"
    verdict = subprocess.run([str(DEVICE), "verify", "--config", str(device.config)], capture_output=True, text=True)
    assert verdict.returncode == 0, verdict.stdout
    # With the broker it finds its way to what the fleet runs.
    site.broker.start()
    device.wait_for_release("3.0")
