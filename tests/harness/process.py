"""Processes that are started, watched and ended by their own id, and waiting for things to come true."""

import os
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


def wait_for(what: str, check: Callable[[], T], timeout_s: float = 30, interval_s: float = 0.1) -> T:
    """The first true value of `check`; fails with `what` when none came in time."""
    until = time.monotonic() + timeout_s
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > until:
            raise AssertionError(f"waited {timeout_s} s in vain: {what}")
        time.sleep(interval_s)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


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
        self.end(signal.SIGKILL, 0)

    def end(self, number: int = signal.SIGTERM, grace_s: float = 10) -> int | None:
        if self.child is None:
            return None
        if self.child.poll() is None:
            self.child.send_signal(number)
            try:
                self.child.wait(grace_s or 20)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait(20)
        code, self.child = self.child.returncode, None
        return code

    def memory_kb(self, field: str = "VmRSS") -> int:
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1])
        raise AssertionError(f"no {field} of process {self.pid}")

    def log_text(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""
