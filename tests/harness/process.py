"""Processes that are started, watched and ended by their own id, and waiting for things to come true."""

import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

SOURCE = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("INSTAR_BUILD", SOURCE / "build/release")).resolve()
INSTAR = BUILD / "publisher/instar"
# The static client is the one on Paho's C library: `integration.static.*` run with it.
DEVICE = BUILD / "device-client" / os.environ.get("INSTAR_DEVICE", "instar-device")
LXC_HELPER = BUILD / "device-client/instar-lxc"
PLUGIN = BUILD / "broker-plugin/mosquitto_instar.so"


# Even on a busy machine nothing takes so long unless it hangs. Tests wait for conditions within this bound, and never for a time that
# something "should" take. A test that fails may be slow.
HANGS_S = int(os.environ.get("INSTAR_HANGS_S", "300"))


def wait_for(what: str, check: Callable[[], T], timeout_s: float = HANGS_S, interval_s: float = 0.1) -> T:
    """The first true value of `check`; fails with `what` when none came in time."""
    until = time.monotonic() + timeout_s
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > until:
            raise AssertionError(f"waited {timeout_s} s in vain: {what}")
        time.sleep(interval_s)


# Below those that the kernel gives to outgoing connections: none of them takes a port while its broker is down.
PORTS = range(20_000, 32_000)
_reserved: list[socket.socket] = []


def free_port() -> int:
    """A port of loopback that nobody listens on, and that no other test on this machine is given while this process lives: an abstract Unix
    socket of that name is the mark, as those belong to a network namespace as ports do, and go with their process."""
    while True:
        port = random.SystemRandom().choice(PORTS)
        mark = socket.socket(socket.AF_UNIX)
        try:
            mark.bind(f"\0instar-test-port-{port}")
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            mark.close()
            continue
        _reserved.append(mark)
        return port


class Process:
    """A child with its output in a file."""

    def __init__(self, log: Path):
        self.log = log
        self.child: subprocess.Popen | None = None

    def spawn(self, command: list[str], **options) -> None:
        assert not self.is_running(), f"{command[0]} runs already"
        with self.log.open("ab") as log:
            self.child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **options)

    @property
    def pid(self) -> int:
        assert self.child is not None
        return self.child.pid

    def is_running(self) -> bool:
        return self.child is not None and self.child.poll() is None

    def kill(self) -> None:
        """kill -9, and no return before it is gone."""
        self.end(signal.SIGKILL)

    def end(self, number: int = signal.SIGTERM) -> int | None:
        """Its exit code. One that hangs is killed."""
        if self.child is None:
            return None
        if self.child.poll() is None:
            self.child.send_signal(number)
            try:
                self.child.wait(HANGS_S)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait(HANGS_S)
        code, self.child = self.child.returncode, None
        return code

    def memory_kb(self, field: str = "VmRSS") -> int:
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1])
        raise AssertionError(f"no {field} of process {self.pid}")

    def log_text(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""
