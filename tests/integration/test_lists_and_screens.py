"""What an operator sees: lists in the order in which people count, what is filtered, and a rollout on terminals of many sizes."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

import pytest
from harness.operator import Refused
from harness.paper_device import PaperDevice
from harness.process import HANGS_S, INSTAR, wait_for
from harness.site import Site

NAMES = ["fleet-10", "fleet-2", "fleet-1", "fleet-100"]
IN_ORDER = ["fleet-1", "fleet-2", "fleet-10", "fleet-100"]


@pytest.fixture
def site(tmp_path, keys):
    with Site(tmp_path, keys) as made:
        yield made


def say(site: Site, *words: str, **environment: str) -> subprocess.CompletedProcess:
    env = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "INSTAR_BROKER": f"mqtt://127.0.0.1:{site.broker.port}"} | environment
    return subprocess.run([str(INSTAR), *words], capture_output=True, text=True, timeout=2 * HANGS_S, env=env)


def names(document: dict, key: str = "devices") -> list[str]:
    return [row["device"] for row in document[key]]


def fleet_of(site: Site) -> list[PaperDevice]:
    devices = [PaperDevice(site.broker, name, product="gateway" if name == "fleet-2" else "test-box") for name in NAMES]
    for device in devices:
        device.hello()
    return devices


def test_devices_are_listed_as_people_count_filtered_and_in_pages(site):
    devices = fleet_of(site)
    ask = site.operator.ask
    assert names(ask("devices", "list")) == IN_ORDER
    assert names(ask("devices")) == IN_ORDER, "the group of commands alone lists"
    assert names(ask("devices", "list", "--product", "gateway")) == ["fleet-2"]
    page = ask("devices", "list", "--limit", "3", "--page", "2")
    assert (names(page), page["total"]) == (["fleet-100"], 4)
    assert "1-3 of 4; --page 2 shows the next ones" in say(site, "devices", "list", "--limit", "3").stdout
    devices[0].client.close()
    wait_for("fleet-10 is offline", lambda: names(ask("devices", "list", "--offline")) == ["fleet-10"])
    assert names(ask("devices", "list", "--online")) == ["fleet-1", "fleet-2", "fleet-100"]


def test_a_group_that_nobody_is_in_is_answered_with_those_there_are(site):
    empty = say(site, "devices", "list", "-g", "test/lien")
    assert empty.returncode == 0 and "one appears when its instar-device connects" in empty.stdout
    fleet_of(site)
    for group, words in (("test/lien", "did you mean test/line?"), ("elsewhere", "`instar groups` shows the groups there are")):
        found = say(site, "devices", "list", "-g", group)
        assert found.returncode == 0 and "none of the 4 devices that the broker knows is in group" in found.stdout
        assert words in found.stdout
    assert "is such a one" in say(site, "devices", "list", "--product", "press").stdout


def test_members_of_a_rollout_are_filtered(site):
    devices = fleet_of(site)
    rollout = site.publish("1.0")
    manifest = bytes.fromhex(site.operator.rollout(rollout)["manifest"])
    for device, step in zip(devices, ("committed", "committed", "refused", "committed")):
        if device.product == site.operator.product:
            device.report(1, manifest, step)
    ask = site.operator.ask
    wait_for("all have reported", lambda: site.counts(rollout) == {"committed": 2, "refused": 1})
    assert names(ask("rollout", "show", rollout, "--failed"), "members") == ["fleet-1"]
    assert names(ask("rollout", "show", rollout, "--state", "committed"), "members") == ["fleet-10", "fleet-100"]
    assert names(ask("devices", "list", "--failed")) == ["fleet-1"]
    assert names(ask("devices", "list", "--state", "committed,waiting")) == ["fleet-10", "fleet-100"]
    with pytest.raises(Refused, match="did you mean committed"):
        ask("rollout", "show", rollout, "--state", "comitted")
    assert [row["rollout"] for row in ask("rollout", "list", "--product", site.operator.product)["rollouts"]] == [rollout]
    assert ask("rollout", "list", "--product", "other")["rollouts"] == []
    assert "the states there are" in say(site, "rollout", "list", "--state", "nonsense").stdout


def test_json_is_all_that_is_printed(site):
    fleet_of(site)
    for words in (("devices", "list"), ("rollout", "list"), ("groups",), ("packs", "list"), ("devices", "show", "fleet-1")):
        done = say(site, *words, "--json")
        assert done.returncode == 0 and done.stderr == "" and done.stdout.startswith("{"), done


class Terminal:
    """`instar` on a terminal of its own."""

    def __init__(self, site: Site, *words: str, columns: int, rows: int, term: str = "xterm"):
        self.master, terminal = pty.openpty()
        self.terminal = terminal
        self.resize(columns, rows)
        env = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "TERM": term, "INSTAR_BROKER": f"mqtt://127.0.0.1:{site.broker.port}"}
        self.child = subprocess.Popen([str(INSTAR), *words], stdin=terminal, stdout=terminal, stderr=subprocess.PIPE, env=env, text=True)
        self.seen = b""

    @property
    def shown(self) -> str:
        return self.seen.decode(errors="replace")

    def resize(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def wait_for(self, words: str) -> str:
        until = time.monotonic() + HANGS_S
        while words not in self.shown:
            assert time.monotonic() < until, f"{words!r} is not shown: {self.shown!r}"
            if select.select([self.master], [], [], 0.1)[0]:
                self.seen += os.read(self.master, 65536)
        return self.shown

    def end(self) -> int:
        self.child.send_signal(signal.SIGINT)
        self.child.communicate(timeout=HANGS_S)
        os.close(self.master)
        os.close(self.terminal)
        return self.child.returncode


def frames(shown: str) -> list[list[str]]:
    """What was drawn each time, as lines."""
    parts = re.split(r"\x1b\[\d*A\x1b\[J|\x1b\[2J\x1b\[H", shown.replace("\r\n", "\n"))
    return [part.removesuffix("\n").split("\n") for part in parts]


@pytest.mark.parametrize("columns, rows", [(80, 24), (40, 24), (200, 50), (40, 8)])
def test_a_rollout_that_is_watched_fits_the_terminal(site, columns, rows):
    fleet_of(site)
    waves = [word for name in IN_ORDER for word in ("--wave", f"{name}:success=100%,soak=4h,approval")]
    rollout = site.publish("1.0", options=(*waves, "--max-failures", "1", "--notes", "x" * 200))
    terminal = Terminal(site, "rollout", "watch", rollout, columns=columns, rows=rows)
    shown = terminal.wait_for("active")
    site.operator.ask("rollout", "pause", rollout)
    shown = terminal.wait_for("instar rollout resume" if rows > 8 else "paused")
    for frame in frames(shown):
        assert len(frame) < rows and max(map(len, frame)) < columns, frame
    # A smaller one is drawn anew from its first line.
    terminal.resize(40, 12)
    shown = terminal.wait_for("\x1b[2J\x1b[H")
    last = frames(shown)[-1]
    assert len(last) < 12 and max(map(len, last)) < 40, last
    assert terminal.end() == 130


def test_a_terminal_without_a_cursor_gets_a_line_for_each_change(site):
    fleet_of(site)
    rollout = site.publish("1.0")
    terminal = Terminal(site, "rollout", "watch", rollout, columns=80, rows=24, term="dumb")
    terminal.wait_for(f"{rollout} active")
    site.operator.ask("rollout", "pause", rollout)
    shown = terminal.wait_for(f"{rollout} paused")
    assert "\x1b" not in shown
    assert terminal.end() == 130
