"""The two sides of a row: a device that takes a release, and curl that goes on with a file from nginx until it has it."""

import secrets
import struct
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from harness.link_watch import LinkWatch
from harness.operator import Keys
from harness.process import Process, free_port, wait_for
from harness.shaper import Shaper
from harness.site import Site, sent_twice

from .rows import Row


MESSAGE_BYTES = 200
HANGS_S = 3_600


@dataclass
class Result:
    """bytes: of the content. again: arrived beyond that, what is around a piece or a file that was cut off included. lost: had left for the
    device at a cut, and were on their way. sent_twice: by the broker's own log, with those that were lost."""

    bytes: int
    seconds: float
    cuts: int
    again: int
    lost: int
    sent_twice: int = 0
    wait_s: float | None = None
    back_s: float | None = None  # from a cut to the next bytes
    connections: int = 0

    @property
    def bytes_per_s(self) -> float:
        return self.bytes / self.seconds


class Cuts(threading.Thread):
    """Cuts a shaper's connections every so many seconds, until it is stopped."""

    def __init__(self, shaper: Shaper, row: Row):
        super().__init__(daemon=True)
        self.shaper, self.row = shaper, row
        self.stopping = threading.Event()
        self.times: list[float] = []
        self.lost: list[int] = []
        self.began = time.monotonic()

    def run(self) -> None:
        due = time.monotonic()
        while self.row.cut_s:
            due += self.row.cut_s
            if self.stopping.wait(max(0.0, due - time.monotonic())):
                return
            before = self.shaper.bytes_lost
            (self.shaper.half_close if self.row.half_closes else self.shaper.cut)()
            self.times.append(time.monotonic())
            self.lost.append(self.shaper.bytes_lost - before)

    def until(self, moment: float) -> tuple[list[float], int]:
        """Those that came before a moment, and what was lost by them."""
        self.stopping.set()
        count = sum(1 for at in self.times if at < moment)
        return self.times[:count], sum(self.lost[:count])


def shape(shaper: Shaper, row: Row) -> None:
    shaper.rate_down = shaper.rate_up = row.bytes_per_s
    shaper.delay_s = row.rtt_s / 2
    shaper.handshake = True
    shaper.queue_bytes = row.queue_bytes
    shaper.refuse_every = row.refuse_every


class Messages(threading.Thread):
    """Publishes a message to the device now and then, with the time in it."""

    def __init__(self, site: Site, pause_s: float):
        super().__init__(daemon=True)
        self.site, self.pause_s = site, pause_s
        self.stopping = threading.Event()

    def run(self) -> None:
        with self.site.broker.client("bench-sender") as sender:
            while not self.stopping.wait(self.pause_s):
                sender.publish("bench/message", struct.pack(">d", time.monotonic()) + bytes(MESSAGE_BYTES - 8))


def by_instar(folder: Path, row: Row, site_settings: dict | None = None) -> Result:
    with Site(folder / "site", Keys(folder / "keys"), quiet=True) as site:
        device = site.add_device("far", shaped=True, start=False, settings={"keepalive_s": 60, "reconnect_s_max": 120} | (site_settings or {}))
        # Its session takes what is for the bench too: the client itself listens to no such thing.
        with site.broker.client(device.id, clean=False) as before:
            before.subscribe("bench/+", qos=0)
        device.start()
        site.wait_for_counts(site.publish("1.0"), {"committed": 1})
        device.stop()
        tree = site.tree("2.0", changed_bytes=row.size)
        rollout = site.operator.publish("2.0", tree, options=("--no-delta",))["rollout"]
        shaper = site.shapers[0]
        shape(shaper, row)
        watch = LinkWatch(shaper)
        transfers_before = len(site.broker.transfers())
        connections = shaper.connections
        device.start()
        wait_for("the fetch begins", lambda: watch.first_request, HANGS_S)
        cuts, messages = Cuts(shaper, row), Messages(site, row.message_s)
        cuts.start()
        messages.start()
        wait_for("the release is there", lambda: not {"waiting", "admitted", "fetching"} & site.counts(rollout).keys(), HANGS_S, 5)
        messages.stopping.set()
        times, lost = cuts.until(watch.last_piece)
        shaper.rate_down = shaper.rate_up = None
        transfers = site.broker.transfers()[transfers_before:]
        twice = sum(sent_twice(transfers).values())
        size = sum(transfer.bytes for transfer in transfers) - twice
        waits = sorted(wait for sent, wait in watch.waits if sent < watch.last_piece)
        again = watch.chunk_bytes + watch.bytes_cut_off - size
        back = [min((at for at in watch.first_pieces.values() if at > cut), default=cut) - cut for cut in times]
        return Result(size, watch.last_piece - watch.first_request, len(times), again, lost, twice,
                      waits[-1] if waits else None, max(back, default=None), shaper.connections - connections)


class Nginx:
    """Serves one folder on a free port."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.files = folder / "files"
        self.files.mkdir(parents=True)
        folder.chmod(0o755)
        self.port = free_port()
        self.process = Process(folder / "nginx.log")

    def __enter__(self) -> "Nginx":
        (self.folder / "nginx.conf").write_text(
            f"daemon off; pid {self.folder}/pid; error_log stderr; user root; worker_processes 1;\n"
            "events { worker_connections 512; }\n"
            f"http {{ access_log off; sendfile on; tcp_nodelay on; server {{ listen 127.0.0.1:{self.port}; root {self.files}; }} }}\n")
        self.process.spawn(["nginx", "-p", str(self.folder), "-c", str(self.folder / "nginx.conf")])
        wait_for("nginx answers", self._answers)
        return self

    def _answers(self) -> bool:
        assert self.process.is_running(), self.process.log_text()
        return subprocess.run(["curl", "-sS", "-o", "/dev/null", f"http://127.0.0.1:{self.port}/"], capture_output=True).returncode == 0

    def __exit__(self, *_: object) -> None:
        self.process.end()

    def file(self, size: int) -> str:
        name = secrets.token_hex(6)
        (self.files / name).write_bytes(secrets.token_bytes(size))
        return name


def by_curl(folder: Path, row: Row, nginx: Nginx, size: int) -> Result:
    """`until curl -C - …; do :; done`"""
    folder.mkdir(parents=True)
    out = folder / "file"
    first: list[float] = []
    down = [0, 0.0]

    def tap(connection: int, is_down: bool, data: bytes) -> None:
        if not is_down and not first:
            # Without its connect, as the device's request is counted.
            first.append(time.monotonic() - shaper.delay_s)
        if is_down:
            down[0], down[1] = down[0] + len(data), time.monotonic()

    with Shaper(nginx.port) as shaper:
        shape(shaper, row)
        shaper.tap = tap
        name = nginx.file(size)
        cuts = Cuts(shaper, row)
        cuts.start()
        while True:
            done = subprocess.run(["curl", "-sS", "-C", "-", "-o", str(out), f"http://127.0.0.1:{shaper.port}/{name}"], capture_output=True)
            if done.returncode == 0:
                break
            if time.monotonic() - cuts.began > HANGS_S:
                raise AssertionError(f"curl did not get through: {done.stderr!r}")
        times, lost = cuts.until(down[1])
        assert out.read_bytes() == (nginx.files / name).read_bytes()
        return Result(size, down[1] - first[0], len(times), max(0, down[0] - size), lost, connections=shaper.connections)
