"""What every method has in common: what it is asked to do and what it answers."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass, field
from pathlib import Path

from measure import Cost, Runner
from pairs import TIME_STAMP, Pair

# Bytes of memory that a producer may take: past this a method says so and is left out.
PRODUCER_MEMORY_MAX = 8 << 30


class NotMeasured(Exception):
    """Why a method has no figures for a pair."""


@dataclass
class Figures:
    """One line of the report for one pair. A value of None was not measured."""
    wire_bytes: int
    device_peak_kib: int | None
    device_cpu_s: float | None
    producer_s: float | None
    producer_peak_kib: int | None
    producer_cpu_s: float | None = None
    note: str = ""
    parts: dict[str, int] = field(default_factory=dict)
    # Of the decoder without what stages a tree; ours only.
    decoder_peak_kib: int | None = None

    def as_json(self) -> dict:
        found = {key: value for key, value in asdict(self).items() if value not in ("", {})}
        if self.decoder_peak_kib is None:
            del found["decoder_peak_kib"]
        return found


def figures(wire: dict[str, int], device: Cost | None, producer: Cost | None, note: str = "") -> Figures:
    """`wire` names what crosses the network, in bytes."""
    return Figures(sum(wire.values()), device and device.peak_kib, device and round(device.cpu_s, 2), producer and round(producer.wall_s, 2),
                   producer and producer.peak_kib, producer and round(producer.cpu_s, 2), note, wire if len(wire) > 1 else {})


class Bench:
    """Where a method finds the pair and leaves what it makes. `work` is empty at first and removed afterwards."""

    def __init__(self, pair: Pair, folder: Path, work: Path, runner: Runner):
        self.pair, self.work = pair, work
        self._folder, self._runner = folder, runner

    def tars(self) -> tuple[Path, Path]:
        """Both trees as tars that are the same whoever makes them; making them is not measured."""
        return self._tar(self.pair.old), self._tar(self.pair.new)

    def _tar(self, tree: Path) -> Path:
        at = self._folder / "tars" / f"{tree.parent.name}-{tree.name}.tar"
        if not at.exists():
            at.parent.mkdir(parents=True, exist_ok=True)
            part = at.with_suffix(f".{os.getpid()}")
            subprocess.run(["tar", *TAR_OPTIONS, "-cf", str(part), "-C", str(tree), "."], check=True)
            part.rename(at)
        return at

    def run(self, *command, cwd: Path | None = None) -> Cost:
        return self._runner.run(list(command), cwd or self.work)

    def shell(self, line: str) -> Cost:
        return self._runner.shell(line, self.work)

    def copy_of_old(self) -> Path:
        """The tree that the device holds, for methods that change it in place."""
        at = self.work / "device"
        subprocess.run(["cp", "-a", str(self.pair.old), str(at)], check=True)
        return at

    def expect_tree(self, tree: Path) -> None:
        """Throws NotMeasured unless `tree` holds what the new release does."""
        expected, found = _content(self.pair.new), _content(tree)
        if expected != found:
            differ = sorted(path for path in expected.keys() | found.keys() if expected.get(path) != found.get(path))
            raise NotMeasured(f"rebuilt another tree: {len(differ)} paths differ, {differ[:3]}")

    def expect_regular_files(self, tree: Path) -> None:
        """For a method that carries neither links nor empty folders: the same for what is left of the new release without them."""
        found = _content(tree)
        regular = {path: what for path, what in _content(self.pair.new).items() if what != "folder" and not what.startswith("->")}
        differ = sorted(path for path, what in regular.items() if found.get(path) != what)
        if differ:
            raise NotMeasured(f"rebuilt other files: {len(differ)} differ, {differ[:3]}")

    def expect_file(self, built: Path, original: Path) -> None:
        if _hash(built) != _hash(original):
            raise NotMeasured(f"rebuilt {original.name} differs")


TAR_OPTIONS = ["--format=gnu", "--sort=name", "--owner=0", "--group=0", "--numeric-owner", f"--mtime=@{TIME_STAMP}"]


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _content(tree: Path) -> dict[str, str]:
    found = {}
    for at, folders, files in os.walk(tree):
        for name in folders + files:
            path = Path(at, name)
            relative = str(path.relative_to(tree))
            if path.is_symlink():
                found[relative] = "-> " + os.readlink(path)
            elif path.is_file():
                found[relative] = _hash(path)
            else:
                found[relative] = "folder"
    return found


class Method(ABC):
    """One way to bring the new tree to a device that holds the old one."""
    name: str
    # What a person types to do the same.
    commands: list[str]
    # Debian packages whose versions belong to the figures.
    packages: list[str] = []
    # What the figures hold and leave out, in a sentence.
    what = ""

    def version(self) -> str:
        """Of the tools: figures are measured again when it changes."""
        return ", ".join(f"{package} {_installed(package)}" for package in self.packages)

    @abstractmethod
    def measure(self, bench: Bench) -> Figures:
        """Makes the update, applies it, checks what came out. Throws NotMeasured or Failed."""

    def measure_in(self, pair: Pair, folder: Path, runner: Runner) -> Figures:
        scratch = folder / "work"
        scratch.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f"{pair.name}-", dir=scratch))
        try:
            return self.measure(Bench(pair, folder, work, runner))
        finally:
            shutil.rmtree(work, ignore_errors=True)


def _installed(package: str) -> str:
    done = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", package], capture_output=True, text=True)
    if done.returncode != 0 or not done.stdout:
        raise NotMeasured(f"{package} is not installed: run `deploy/install-deps bench`")
    return done.stdout


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files below a folder."""
    return path.stat().st_size if path.is_file() else sum(p.stat().st_size for p in path.rglob("*") if p.is_file() and not p.is_symlink())
