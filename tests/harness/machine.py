"""The test device of deploy/test-device as a process: User-mode Linux with a flash image, in a network of its own with a broker.

The power is cut by SIGKILL to its process group: what it had not written to the image is gone, as its memory is.
"""

import ctypes
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from .operator import Keys
from .process import HANGS_S, SOURCE, wait_for
from .site import Site

KERNEL = Path("/usr/bin/linux.uml")
DEVICE_ID, DEVICE_ADDRESS, BROKER_ADDRESS = "uml-1", "10.77.0.2", "10.77.0.1"
TAP = "tap0"
CLONE_NEWNET = 0x40000000
# Debian's kernel makes 256 old ptys and measures RAID checksums at each start: 3.5 s.
QUICK = ["pty.legacy_count=0", "initcall_blacklist=raid6_select_algo,strp_dev_init"]
LINE = re.compile(r"@([A-Z]+) (.*)")


def tool(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


def enter_own_network() -> None:
    """This process and all that it starts: a network namespace that goes with the last of them, with a tap device for the machine."""
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "no network namespace of our own; are you root?")
    tool("ip", "link", "set", "lo", "up")
    tool("ip", "tuntap", "add", "dev", TAP, "mode", "tap")
    tool("ip", "addr", "add", f"{BROKER_ADDRESS}/24", "dev", TAP)
    # One packet at a time: the machine drops what is larger than a packet.
    tool("ip", "link", "set", TAP, "gso_max_segs", "1")
    tool("ip", "link", "set", TAP, "up")


def limit_link(bits_a_second: str) -> None:
    """What the machine receives; it stays so until it is set again."""
    tool("tc", "qdisc", "replace", "dev", TAP, "root", "tbf", "rate", bits_a_second, "burst", "16k", "latency", "400ms")


def site_for(folder: Path, device: Path) -> Site:
    """A broker with the plugin and listeners for the machine: 8883 with TLS, 1883 without. `device`: what deploy/test-device/build wrote."""
    keys = Keys.__new__(Keys)
    keys.folder = device / "site/keys"
    keys.root, keys.release, keys.gate = (keys.folder / name for name in ("root.instar", "release.key", "gate.key"))
    listeners = [f"listener 8883 {BROKER_ADDRESS}", f"certfile {device}/site/server.pem", f"keyfile {device}/site/server.key",
                 f"listener 1883 {BROKER_ADDRESS}"]
    return Site(folder, keys, lines=listeners, quiet=True)


class Machine:
    """said: what it has said on its console since the last start, by name; the last of each."""

    def __init__(self, folder: Path, device: Path, flash: Path):
        self.folder, self.device, self.flash = folder, device, flash
        folder.mkdir(parents=True, exist_ok=True)
        self.log = folder / "console.log"
        self.child: subprocess.Popen | None = None
        self.said: dict[str, dict | None] = {}
        self.said_at: dict[str, float] = {}
        self.lines: list[tuple[float, str]] = []  # what the client has logged since the last start, and when
        self.reader: threading.Thread | None = None
        self.starts = 0

    def __enter__(self) -> "Machine":
        return self

    def __exit__(self, *_: object) -> None:
        self.cut()

    def command(self, console: str, **arguments: object) -> list[str]:
        own = [f"instar.{key}={value}" for key, value in arguments.items()]
        return ["setarch", "-R", str(KERNEL), "mem=64M", f"initrd={self.device}/initrd.xz", f"ubd0={self.flash}",
                f"ubd1r={self.device}/root.squashfs", f"vec0:transport=tap,ifname={TAP}", f"umid=u{os.getpid()}-{self.starts}",
                f"uml_dir={self.folder}/", "con=null", f"con0={console}", "ssl=null", "quiet", "panic=1", *QUICK, *own]

    def start(self, **arguments: object) -> "Machine":
        assert self.child is None, "it runs already"
        self.starts += 1
        self.said, self.said_at, self.lines = {}, {}, []
        self.started = time.monotonic()
        self.child = subprocess.Popen(self.command("fd:0,fd:1", **arguments), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                      stderr=subprocess.STDOUT, start_new_session=True)
        self.reader = threading.Thread(target=self._read, args=(self.child.stdout, self.said, self.said_at, self.lines), daemon=True)
        self.reader.start()
        return self

    def _read(self, console, said: dict, said_at: dict, lines: list) -> None:
        with self.log.open("ab") as log:
            log.write(f"--- start {self.starts}\n".encode())
            for raw in console:
                log.write(raw)
                log.flush()
                text = raw.decode(errors="replace").strip()
                found = LINE.match(text)
                if not found:
                    lines.append((time.monotonic(), text))
                    continue
                try:
                    value = json.loads(found[2])
                except ValueError:
                    continue  # cut in the middle of a line
                said_at[found[1]] = time.monotonic()
                said[found[1]] = value

    def is_running(self) -> bool:
        return self.child is not None and self.child.poll() is None

    def wait_for(self, name: str, timeout_s: float = HANGS_S) -> dict | None:
        """What it says under this name after its start; fails when the machine has ended or the client in it has."""
        def has_come() -> bool:
            assert name in self.said or self.is_running(), f"the machine has ended: {self.tail()}"
            assert name in self.said or "ENDED" not in self.said, f"the client has ended: {self.said['ENDED']}"
            return name in self.said
        wait_for(f"the machine says {name}; its console: {self.tail()}", has_come, timeout_s, 0.02)
        return self.said[name]

    def logged(self, words: str, since: float) -> float | None:
        """When the client logged a line with these words, at `since` or later: the first one."""
        return next((when for when, text in list(self.lines) if when >= since and words in text), None)

    def tail(self) -> str:
        return self.log.read_text(errors="replace")[-1500:] if self.log.exists() else ""

    def cut(self) -> None:
        """Cuts its power. Returns when all its processes are gone and nothing writes to the image any more."""
        if self.child is None:
            return
        try:
            os.killpg(self.child.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.child.wait(HANGS_S)
        group = self.child.pid
        wait_for("all its processes are gone", lambda: not group_exists(group), interval_s=0.01)
        if self.reader:
            self.reader.join(HANGS_S)
        self.child = None


def group_exists(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def copy_device(out: Path, folder: Path) -> Path:
    """Copies of the images that a run needs, so that they stay when somebody builds new ones."""
    for name in ("initrd.xz", "root.squashfs", "flash.img"):
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(out / name, folder / name)
    for name in ("site", "service/base"):
        shutil.copytree(out / name, folder / name, symlinks=True)
    return folder


def build_device(build: Path, out: Path, *options: str) -> dict:
    """Makes the device's images; returns sizes.json."""
    done = subprocess.run([sys.executable, "-B", str(SOURCE / "deploy/test-device/build"), "--build", str(build), "--out", str(out), *options],
                          capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(done.stdout + done.stderr)
    return json.loads((out / "sizes.json").read_text())
