"""One device of one run: disks of its own (loop devices), a network of its own (a wire to the server), a control group for its programs.

What is measured is what a kernel counts: bytes and packets of the wire, sectors of the disks, and the memory of all processes of the control
group, read every 10 ms.
"""

import ctypes
import os
import signal
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

SERVER, DEVICE = "10.77.1.1", "10.77.1.2"
CLONE_NEWNET, CLONE_NEWNS = 0x40000000, 0x20000
ETHERNET_HEADER = 14
SECTOR = 512
SAMPLE_S = 0.01
LIBC = ctypes.CDLL(None, use_errno=True)


class Failed(Exception):
    """A command that did not succeed, with what it wrote."""


class Cut(Exception):
    """The programs of the device were killed, as `cut_after` asked for."""


def tool(*command: object) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, errors="replace")
    if done.returncode != 0:
        raise Failed(f"`{' '.join(map(str, command))[:160]}` ended with {done.returncode}: {(done.stderr or done.stdout).strip()[-400:]}")
    return done.stdout


class Network:
    """This process and all that it starts get a network and mounts that go with the last of them. The device's end of the wire is in a second
    network. Each packet on the wire is one that fits 1500 bytes, so that headers count as they do on a real link."""

    def __init__(self) -> None:
        if LIBC.unshare(CLONE_NEWNET | CLONE_NEWNS) != 0:
            raise OSError(ctypes.get_errno(), "no network namespace and mounts of our own; are you root?")
        tool("mount", "--make-rprivate", "/")
        tool("ip", "link", "set", "lo", "up")
        self._holder = subprocess.Popen(["unshare", "--net", "sleep", "infinity"])
        self.enter = ["nsenter", "-t", str(self._holder.pid), "--net"]
        ours = os.readlink("/proc/self/ns/net")
        until = time.monotonic() + 10
        while os.readlink(f"/proc/{self._holder.pid}/ns/net") == ours:
            if time.monotonic() > until:
                raise Failed("`unshare --net` made no network within 10 s")
            time.sleep(0.01)
        tool("ip", "link", "add", "wire0", "type", "veth", "peer", "name", "wire1", "netns", self._holder.pid)
        for enter, device, address in (([], "wire0", SERVER), (self.enter, "wire1", DEVICE)):
            tool(*enter, "sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6 || true")
            tool(*enter, "ip", "link", "set", "lo", "up")
            tool(*enter, "ip", "address", "add", f"{address}/24", "dev", device)
            tool(*enter, "ip", "link", "set", device, "gso_max_segs", "1", "up")

    def close(self) -> None:
        self._holder.kill()
        self._holder.wait()

    def limit(self, bits_a_second: str | None) -> None:
        """What the device receives; None: as fast as it goes."""
        if bits_a_second:
            tool("tc", "qdisc", "replace", "dev", "wire0", "root", "tbf", "rate", bits_a_second, "burst", "4k", "latency", "400ms")
        else:
            subprocess.run(["tc", "qdisc", "del", "dev", "wire0", "root"], capture_output=True)

    def counted(self) -> tuple[int, int]:
        """Bytes of IP packets that the device has received and has sent."""
        line = next(line for line in Path("/proc/self/net/dev").read_text().splitlines() if line.strip().startswith("wire0:"))
        fields = [int(word) for word in line.split(":")[1].split()]
        return fields[8] - ETHERNET_HEADER * fields[9], fields[0] - ETHERNET_HEADER * fields[1]


def control_groups() -> Path:
    """Where a group can be made that only holds processes together: version 2 if it is there, else any hierarchy of version 1."""
    for path in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/pids", "/sys/fs/cgroup/freezer"):
        if (Path(path) / "cgroup.procs").exists():
            return Path(path)
    raise Failed("no control groups below /sys/fs/cgroup: mount them, or run this where systemd does")


class Disk:
    """A file as a block device; with `place`, an ext4 file system mounted there."""

    def __init__(self, image: Path, size: int, place: Path | None = None, content: Path | None = None):
        self.image, self.size, self.place = image, size, place
        if content:
            tool("cp", "--sparse=always", content, image)
        with image.open("ab") as file:
            file.truncate(size)
        if place and not content:
            tool("mkfs.ext4", "-q", "-F", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0", image)
        self.device = tool("losetup", "--find", "--show", image).strip()
        if place:
            place.mkdir()
            tool("mount", "-o", "noatime", self.device, place)

    def settle(self) -> None:
        """All that was written reaches the device, ext4's journal too."""
        if self.place:
            tool("fsfreeze", "--freeze", self.place)
            tool("fsfreeze", "--unfreeze", self.place)
        else:
            tool("blockdev", "--flushbufs", self.device)

    def written(self) -> int:
        return int(Path("/sys/block", Path(self.device).name, "stat").read_text().split()[6]) * SECTOR

    def free(self) -> int:
        at = os.statvfs(self.place)
        return at.f_bfree * at.f_frsize

    def close(self) -> None:
        if self.place:
            subprocess.run(["umount", "--recursive", self.place], capture_output=True)
        subprocess.run(["losetup", "--detach", self.device], capture_output=True)
        self.image.unlink(missing_ok=True)


@dataclass
class Memory:
    """Of processes together, in KiB: PSS, private dirty pages, and the PSS of the largest of them."""
    pss: int = 0
    private_dirty: int = 0
    largest: int = 0

    def highest(self, other: "Memory") -> "Memory":
        return Memory(max(self.pss, other.pss), max(self.private_dirty, other.private_dirty), max(self.largest, other.largest))


def memory_of(pids: list[int]) -> Memory:
    """Processes that are gone count nothing."""
    found = Memory()
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        sizes = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines[1:])}
        found.pss += sizes.get("Pss", 0)
        found.private_dirty += sizes.get("Private_Dirty", 0)
        found.largest = max(found.largest, sizes.get("Pss", 0))
    return found


@dataclass
class Taken:
    """What a piece of work took of the device."""
    received_bytes: int
    sent_bytes: int
    written_bytes: int
    space_bytes: int
    peak_pss_kib: int
    peak_private_dirty_kib: int
    largest_pss_kib: int
    samples: int
    seconds: float


class Box:
    """`data`: the device's own file system, in `data.place`. What else it has of disks is a slot."""

    def __init__(self, folder: Path, network: Network, data_bytes: int):
        folder.mkdir(parents=True)
        self.folder, self.network = folder, network
        self.log = folder / "log"
        self.log.touch()
        self.group = control_groups() / f"instar-peers-{os.getpid()}-{folder.name}"
        self.group.mkdir()
        self.data = Disk(folder / "data.img", data_bytes, folder / "data")
        self.slots: list[Disk] = []
        self.was_cut = False
        self._limit: int | None = None
        self._watch: list[threading.Thread] = []
        self._children: list[subprocess.Popen] = []

    @property
    def place(self) -> Path:
        return self.data.place

    def slot(self, size: int, content: Path | None = None) -> Disk:
        self.slots.append(Disk(self.folder / f"slot-{len(self.slots)}.img", size, content=content))
        return self.slots[-1]

    # --- programs ------------------------------------------------------------------------------------
    def command(self, *command: object) -> list[str]:
        return [*self.network.enter, *map(str, command)]

    def join(self) -> None:
        """In a child, before it becomes the program."""
        (self.group / "cgroup.procs").write_text("0")

    def spawn(self, *command: object, env: dict[str, str] | None = None) -> subprocess.Popen:
        """Its temporary files go to the device's own disk."""
        (self.place / "tmp").mkdir(exist_ok=True)
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC", "HOME": str(self.place),
                       "TMPDIR": str(self.place / "tmp")} | (env or {})
        with self.log.open("ab") as log:
            log.write(f"--- {' '.join(map(str, command))}\n".encode())
            log.flush()
            child = subprocess.Popen(self.command(*command), stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, cwd=self.place,
                                     preexec_fn=self.join)
        self._children.append(child)
        return child

    def run(self, *command: object, env: dict[str, str] | None = None, timeout_s: float = 300) -> None:
        child = self.spawn(*command, env=env)
        try:
            code = child.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Failed(f"`{Path(str(command[0])).name}` did not end within {timeout_s} s: {self.tail()}") from None
        if self.was_cut:
            raise Cut
        if code != 0:
            raise Failed(f"`{Path(str(command[0])).name}` ended with {code}: {self.tail()}")

    def tail(self) -> str:
        text = self.log.read_text(errors="replace").split("\n--- ")[-1]
        lines = [line.strip() for line in text.splitlines()[1:] if line.strip()]
        errors = [line for line in lines if "error" in line.lower() or "fail" in line.lower()]
        return " / ".join((errors or lines)[-3:])[-400:]

    def pids(self) -> list[int]:
        return [int(word) for word in (self.group / "cgroup.procs").read_text().split()]

    def kill(self) -> None:
        """kill -9 of everything in the group, and no return before it is gone."""
        until = time.monotonic() + 20
        while pids := self.pids():
            for pid in pids:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            for child in self._children:
                child.poll()
            if time.monotonic() > until:
                raise Failed(f"processes {pids} do not end on SIGKILL")
            time.sleep(0.005)

    def idle_pss_kib(self, settle_s: float) -> int:
        """Of what runs now, after that long; throws when nothing runs."""
        time.sleep(settle_s)
        if not self.pids():
            raise Failed(f"the daemon has ended: {self.tail()}")
        return sorted(memory_of(self.pids()).pss for _ in range(9))[4]

    # --- measuring -----------------------------------------------------------------------------------
    def cut_after(self, received_bytes: int | None) -> None:
        """Kills all programs once the device has received so many bytes since `begin`."""
        self._limit = received_bytes

    def begin(self) -> None:
        self.was_cut = False
        self._settle()
        self._written = [disk.written() for disk in self._disks()]
        self._free = self._least_free = self.data.free()
        self._wire = self.network.counted()
        self._peak = Memory()
        self._samples, self._begun, self._done = 0, time.monotonic(), threading.Event()
        self._watch = [threading.Thread(target=self._sample, daemon=True)]
        if self._limit is not None:
            self._watch.append(threading.Thread(target=self._cut, daemon=True))
        for thread in self._watch:
            thread.start()

    def end(self) -> Taken:
        seconds = time.monotonic() - self._begun
        self._stop_watch()
        wire = self.network.counted()
        self._settle()
        written = sum(disk.written() - before for disk, before in zip(self._disks(), self._written))
        # The first slot is the one that runs.
        space = self._free - self._least_free + sum(disk.size for disk in self.slots[1:])
        return Taken(wire[0] - self._wire[0], wire[1] - self._wire[1], written, space, self._peak.pss, self._peak.private_dirty,
                     self._peak.largest, self._samples, round(seconds, 2))

    def _stop_watch(self) -> None:
        if self._watch:
            self._done.set()
            for thread in self._watch:
                thread.join()
            self._watch, self._limit = [], None

    def _disks(self) -> list[Disk]:
        return [self.data, *self.slots]

    def _settle(self) -> None:
        for disk in self._disks():
            disk.settle()

    def _sample(self) -> None:
        while not self._done.wait(SAMPLE_S):
            self._peak = self._peak.highest(memory_of(self.pids()))
            self._least_free = min(self._least_free, self.data.free())
            self._samples += 1

    def _cut(self) -> None:
        while not self._done.wait(0.002):
            if self.network.counted()[0] - self._wire[0] >= self._limit:
                self.was_cut = True
                self.kill()
                return

    def after_cut(self) -> None:
        """What a start of the machine does: nothing is mounted but the device's own disk."""
        for line in reversed(Path("/proc/self/mounts").read_text().splitlines()):
            if line.split()[1].startswith(f"{self.place}/"):
                subprocess.run(["umount", line.split()[1]], capture_output=True)

    def close(self) -> None:
        self._stop_watch()
        self.kill()
        for child in self._children:
            child.wait(10)
        for disk in self._disks():
            disk.close()
        self.group.rmdir()

    def __enter__(self) -> "Box":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
