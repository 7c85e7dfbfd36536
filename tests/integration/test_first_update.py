"""The releases of docs/guides/first-update.md and docs/operator.md, by the commands of the pages: on a real broker and device, to a commit,
an update and a rollback; and from a file, which takes the same way through the device."""

import os
import pty
import re
import subprocess
from pathlib import Path

import pytest
from harness.broker import Broker
from harness.device import Device
from harness.operator import run
from harness.process import DEVICE, HANGS_S, INSTAR, SOURCE
from harness.trees import BUSYBOX

GUIDE = SOURCE / "docs/guides/first-update.md"
MANUAL = SOURCE / "docs/operator.md"


def all_blocks(page: Path) -> list[tuple[str, str]]:
    """(mark, content) of each fenced block."""
    return re.findall(r"^```([^\n]*)\n(.*?)^```$", page.read_text(), flags=re.S | re.M)


def blocks(page: Path, mark: str) -> list[str]:
    return [content for each, content in all_blocks(page) if each == mark]


def shell(commands: str, folder: Path, broker: str = "", *, fails: bool = False) -> str:
    environment = os.environ | {"PATH": f"{INSTAR.parent}:{os.environ['PATH']}", "INSTAR_BROKER": broker, "HOME": "/nonexistent"}
    done = subprocess.run(["bash", "-euc", commands], cwd=folder, env=environment, capture_output=True, text=True)
    assert (done.returncode != 0) == fails, f"{commands}\nended with {done.returncode}: {done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def settings_of_page() -> dict[str, str]:
    """The device.conf of the guide, but for what only this machine knows."""
    (text,) = [block for block in blocks(GUIDE, "conf root") if "\ndevice_id" in block]
    found = dict((part.strip() for part in line.split("=", 1)) for line in text.splitlines() if "=" in line)
    assert found.pop("server").startswith("ssl://") and found.pop("ca_file") and found.pop("device_id")
    return found


class Place:
    """A folder with the keys of the guide, a broker that has them, and the guide's device."""

    def __init__(self, folder: Path, name: str):
        self.folder = folder
        shell(blocks(GUIDE, "sh run")[0], folder)
        self.broker = Broker(folder / "broker", options={"root": str(folder / "keys/root.instar"), "gate_key": str(folder / "keys/gate.key")})
        self.device = Device(folder / "device", name, self.broker.port, folder / "keys/root.instar", settings=settings_of_page())

    def __enter__(self) -> "Place":
        self.broker.start()
        self.device.start()
        self.device.wait_until_up()
        return self

    def __exit__(self, *_: object) -> None:
        self.device.clean_up()
        self.broker.stop()

    def run(self, commands: str, **options) -> str:
        return shell(commands, self.folder, f"mqtt://127.0.0.1:{self.broker.port}", **options)


@pytest.fixture
def place(tmp_path, name):
    with Place(tmp_path, name) as found:
        yield found


def test_the_guide_leads_to_a_commit_an_update_and_a_rollback(place):
    commands = [(mark, block) for mark, block in all_blocks(GUIDE) if mark.startswith("sh run")]
    published = {}
    for mark, block in commands[1:]:
        said = place.run(block)
        if mark == "sh run broker":
            published[re.search(r"--release (\S+)", block).group(1)] = (said, place.device.release)
    assert list(published) == ["1.0", "1.1", "1.2"]
    assert [running for _, running in published.values()] == ["1.0", "1.1", "1.1"]
    assert place.device.id in published["1.0"][0], "the list of devices"
    assert re.search("rolled.back", published["1.2"][0]), published["1.2"][0]
    assert "# a comment" in place.device.ask("app", "/bin/busybox", "cat", "/sbin/init")


def test_the_manual_publishes_by_options_and_by_a_file(place):
    """Its containers have a web server; the page does not say of what their trees are made."""
    tree = place.folder / "build/rootfs"
    for folder in ("bin", "sbin", "usr/sbin", "usr/bin", "www"):
        (tree / folder).mkdir(parents=True)
    (tree / "bin/busybox").write_bytes(BUSYBOX.read_bytes())
    (tree / "bin/sh").symlink_to("busybox")
    (tree / "www/index.html").write_text("hello\n")
    scripts = {"usr/sbin/webd": "exec /bin/busybox httpd -f -p 127.0.0.1:80 -h /www", "usr/bin/check": "exec /usr/bin/curl",
               "usr/bin/curl": "until /bin/busybox wget -q -O - http://127.0.0.1/; do /bin/busybox sleep 0.1; done",
               "sbin/init": "trap 'exit 0' PWR TERM; while :; do /bin/busybox sleep 1; done"}
    for path, body in scripts.items():
        (tree / path).write_text(f"#!/bin/sh\n{body}\n")
    for path in (*scripts, "bin/busybox"):
        (tree / path).chmod(0o755)
    (packed,) = [block for block in blocks(MANUAL, "") if block.startswith("$ instar pack build/rootfs -o out/web-2.4.1\n")]
    place.run(packed.splitlines()[0].removeprefix("$ "))
    (published,) = [block for block in blocks(MANUAL, "") if block.startswith("instar publish --group")]
    place.run(published.rstrip() + " --wait")
    assert place.device.release == "2.4.1"

    (text,) = [block for block in blocks(MANUAL, "json") if '"agent"' in block]
    (place.folder / "release.json").write_text(text)
    place.run("instar pack build/rootfs -o out/agent-7")
    place.run("instar publish release.json --release 2.4.2 --requires-arch $(uname -m) --root keys/root.instar --key keys/release.key --wait")
    assert place.device.release == "2.4.2"
    assert place.device.ask("web", "/usr/bin/check") == "hello\n"


def test_what_cannot_start_is_refused_before_anything_is_sent(place):
    """The tree of the guide as it would be with what people forget: each is a sentence, and the device never hears of it."""
    publish = ("instar publish --group plant-7 --product gateway --release {0} --artifact out/{0} {1} "
               "--root keys/root.instar --key keys/release.key")
    for block in blocks(GUIDE, "sh run")[1:2]:
        place.run(block)
    for number, (spoil, options, sentence) in enumerate((
            ("rm T/bin/sh", "", "/bin/sh, which the #! line of /sbin/init names, is not in the tree"),
            ("ln -sf dash T/bin/sh", "", "/bin/sh -> dash"),
            ("chmod 644 T/sbin/init", "", "may not be executed"),
            ("sed -i 's/$/\\r/' T/sbin/init", "", "line ends of Windows"),
            ("rm T/sbin/init", "", "the tree has no /sbin/init"),
            ("true", "--probe /usr/bin/true", "probe: /usr/bin/true is not in the tree"),
            ("true", "--init /opt/start", "init: /opt/start is not in the tree"),
            ("true", "--volume data:/sbin", "the volume 'data'"),
            ("true", "--requires-arch pdp11", "pdp11"),
            (f"cp {INSTAR} T/sbin/init", "", "needs its loader"))):
        name = f"bad-{number}"
        place.run(f"cp -a rootfs {name} && " + spoil.replace("T/", f"{name}/") + f" && instar pack {name} -o out/{name} --level 1")
        said = place.run(publish.format(name, options), fails=True)
        assert sentence in said and "--unchecked" in said, said
    address = f"mqtt://127.0.0.1:{place.broker.port}"
    assert run(["rollout", "list"], broker=address)["rollouts"] == []
    # Who knows better goes on; the device finds out.
    place.run(publish.format("bad-0", "--unchecked --wait") + " || test $? = 7")
    (rollout,) = run(["rollout", "list"], broker=address)["rollouts"]
    assert rollout["release"] == "bad-0"
    assert place.device.release == ""


def at_terminal(command: list[str], answer: str) -> tuple[int, str]:
    """The exit code, and what a person who answers sees."""
    mine, its = pty.openpty()
    child = subprocess.Popen(command, stdin=its, stdout=its, stderr=its)
    os.close(its)
    os.write(mine, answer.encode())
    seen = b""
    try:
        while part := os.read(mine, 4096):
            seen += part
    except OSError:  # the child has ended
        pass
    os.close(mine)
    return child.wait(HANGS_S), seen.decode()


def test_a_person_at_a_terminal_is_asked_about_a_folder_that_is_no_root(tmp_path):
    (tmp_path / "saved/ab12").mkdir(parents=True)
    (tmp_path / "saved/manifest.json").write_text("[]")
    (tmp_path / "saved/ab12/layer.tar").write_bytes(b"x")
    pack = [str(INSTAR), "pack", str(tmp_path / "saved"), "-o", str(tmp_path / "out"), "--level", "1"]
    code, seen = at_terminal(pack, "n\n")
    assert code == 5 and "docker save" in seen and "[y/N]" in seen, seen
    assert not (tmp_path / "out").exists()
    code, seen = at_terminal(pack, "y\n")
    assert code == 0 and (tmp_path / "out/artifact.json").exists(), seen
    # Nobody can be asked: refused, with the way past.
    done = subprocess.run(pack, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 5 and "--unchecked" in done.stderr
    assert subprocess.run([*pack, "--unchecked"], capture_output=True).returncode == 0


def test_the_release_of_the_guide_from_a_file_is_committed_updated_and_rolled_back(tmp_path, name):
    shell("\n".join(blocks(GUIDE, "sh run")), tmp_path)
    # Nothing listens on this port: `install` needs no broker.
    device = Device(tmp_path / "device", name, 1, tmp_path / "keys/root.instar", groups="plant-7/line-a", product="gateway")
    device.configure()

    def install(number: int, release: str, artifact: str, probe: str) -> subprocess.CompletedProcess:
        shell(f"instar publish --dry-run --sequence {number} --group plant-7 --product gateway --release {release} --artifact {artifact} "
              f"--probe '{probe}' --root keys/root.instar --key keys/release.key --bundle {release}.bundle", tmp_path)
        return subprocess.run([DEVICE, "install", f"{release}.bundle", "--config", device.config], cwd=tmp_path, capture_output=True, text=True,
                              timeout=4 * HANGS_S)

    try:
        for number, release in enumerate(("1.0", "1.1"), 1):
            done = install(number, release, f"out/web-{release}", "/bin/sh -c true")
            assert done.returncode == 0 and f"release {release} is committed" in done.stdout, done.stderr
        done = install(3, "1.2", "out/web-1.0", "/bin/sh -c false")
        assert done.returncode == 1 and "rolled_back" in done.stderr, done.stderr
        assert device.release == "1.1"
    finally:
        device.clean_up()
