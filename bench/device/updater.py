"""What every way to update a device has in common, and those that write a tree: casync and OSTree."""

import subprocess
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

from box import Box, tool
from footprint import Missing, Programs
from method import TAR_OPTIONS


@dataclass
class Job:
    """The same for all: the device has `old` and is to have `new`. `web` is served as `url`; `work` is the updater's own folder."""
    old: Path
    new: Path
    web: Path
    url: str
    work: Path
    bin: Programs

    def tar(self, tree: Path) -> Path:
        at = self.work / f"{tree.name}.tar"
        if not at.exists():
            tool("tar", *TAR_OPTIONS, "-cf", at, "-C", tree, ".")
        return at


class Updater(ABC):
    """One way. `provision` leaves the old release on the device, `update` brings the new one; it can be called again after a cut."""
    name: str
    packages: list[str]
    programs: list[str]
    # What is done, in a sentence; lines that a person would type.
    what: str
    commands: list[str]
    # What the update needs of the disk besides the old release, by its nature; whether the machine has to boot.
    room: str
    reboot: str
    # What the device checks of where the release comes from.
    checks: str
    # Why it cannot run here, for those of which that is known; it is tried all the same.
    not_here = ""

    def version(self) -> str:
        return ", ".join(f"{package} {installed(package)}" for package in self.packages)

    def install(self, programs: Programs) -> None:
        for path in self.programs:
            programs.add(Path(path), "run `deploy/install-deps peers`")

    @abstractmethod
    def serve(self, job: Job) -> None:
        """Makes what the server offers."""

    @abstractmethod
    def provision(self, job: Job, box: Box) -> None:
        """The device as it is before."""

    @abstractmethod
    def update(self, job: Job, box: Box) -> None:
        """Throws Failed, or Cut when the box was cut."""

    @abstractmethod
    def result(self, job: Job, box: Box) -> Path:
        """The tree that the device has now."""

    def idle_pss_kib(self, job: Job, box: Box) -> int | None:
        """Of its daemon, on a device that is provisioned; None: it has none."""
        return None

    def more(self, box: Box) -> dict:
        """Figures that only this one has."""
        return {}

    def close(self, box: Box) -> None:
        """Ends what runs outside of the box's group."""


def installed(package: str) -> str:
    done = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", package], capture_output=True, text=True)
    if done.returncode != 0 or not done.stdout:
        raise Missing(f"{package} is not installed: run `deploy/install-deps peers`")
    return done.stdout


def copy_tree(tree: Path, place: Path) -> None:
    tool("cp", "-a", tree, place)


class Casync(Updater):
    name = "casync"
    packages = ["casync"]
    programs = ["/usr/bin/casync", "/usr/lib/casync/protocols/casync-http"]
    what = "chunks of 64 KiB that the old tree does not hold; files that are the same become hard links to it"
    commands = ["casync extract --store=URL/new.castr --seed=OLD --hardlink=yes URL/new.caidx NEW"]
    room, reboot, checks = "the files that change, or all where times or owners differ", "no", "each chunk by the index; the index by nothing"

    def serve(self, job: Job) -> None:
        tool("casync", "make", f"--store={job.web}/new.castr", job.web / "new.caidx", job.new)

    def provision(self, job: Job, box: Box) -> None:
        copy_tree(job.old, box.place / "old")

    def update(self, job: Job, box: Box) -> None:
        box.run(job.bin.folder / "bin/casync", "extract", f"--store={job.url}/new.castr", f"--seed={box.place}/old", "--hardlink=yes",
                f"{job.url}/new.caidx", box.place / "new", env=job.bin.environment() | {"CASYNC_PROTOCOL_PATH": str(job.bin.folder / "bin")})

    def result(self, job: Job, box: Box) -> Path:
        return box.place / "new"


class Ostree(Updater):
    packages = ["ostree", "libostree-1-1"]
    programs = ["/usr/bin/ostree"]
    room, reboot, checks = "the files that change", "no for a checkout, yes for `ostree admin deploy`", "each object by the commit; GPG left off"

    def serve(self, job: Job) -> None:
        repository = f"--repo={job.web}/repo"
        tool("ostree", "init", repository, "--mode=archive")
        commits = [tool("ostree", "commit", repository, "--branch=main", f"--tree=dir={tree}", "--timestamp=@0", "--owner-uid=0", "--owner-gid=0",
                        "--no-xattrs").strip() for tree in (job.old, job.new)]
        self._delta(job, ["ostree", "static-delta", "generate", repository, f"--from={commits[0]}", f"--to={commits[1]}", "--min-fallback-size=0"])
        tool("ostree", "summary", repository, "-u")
        (job.work / "commits").write_text("\n".join(commits))

    def _delta(self, job: Job, generate: list) -> None:
        tool(*generate)

    def provision(self, job: Job, box: Box) -> None:
        old = (job.work / "commits").read_text().split()[0]
        repository = f"--repo={box.place}/repo"
        tool("ostree", "init", repository, "--mode=bare")
        tool("ostree", "remote", "add", repository, "--no-gpg-verify", "origin", f"{job.url}/repo", "main")
        tool("ostree", "pull-local", repository, "--remote=origin", job.web / "repo", old)
        tool("ostree", "refs", repository, "--create=origin:main", old)
        tool("ostree", "checkout", repository, "-H", old, box.place / "old")

    def update(self, job: Job, box: Box) -> None:
        self._fetch(job, box)
        self._ostree(job, box, "checkout", "-H", (job.work / "commits").read_text().split()[1], box.place / "new")

    def _fetch(self, job: Job, box: Box) -> None:
        raise NotImplementedError

    def _ostree(self, job: Job, box: Box, verb: str, *arguments: object) -> None:
        box.run(job.bin.folder / "bin/ostree", *verb.split(), f"--repo={box.place}/repo", *arguments, env=job.bin.environment())

    def result(self, job: Job, box: Box) -> Path:
        return box.place / "new"


class OstreePull(Ostree):
    """Now and then it fetches objects beside the delta that holds them: see the range of what it received."""
    name = "ostree, pull"
    what = "a static delta, and the objects that `ostree pull` fetches beside it; then a checkout of hard links into the repository"
    commands = ["ostree pull --require-static-deltas origin main", "ostree checkout -H COMMIT NEW"]

    def _fetch(self, job: Job, box: Box) -> None:
        self._ostree(job, box, "pull", "--require-static-deltas", "origin", "main")


class OstreeFile(Ostree):
    name = "ostree, delta file"
    programs = ["/usr/bin/ostree", "/bin/busybox"]
    what = "the same delta as one file, fetched by busybox wget, which goes on where it ended; applied, then checked out"
    commands = ["wget -c URL/delta", "ostree static-delta apply-offline delta", "ostree checkout -H COMMIT NEW"]

    def _delta(self, job: Job, generate: list) -> None:
        tool(*generate, "--inline", f"--filename={job.web}/delta")

    def _fetch(self, job: Job, box: Box) -> None:
        file = box.place / "delta"
        box.run(job.bin.folder / "bin/busybox", "wget", "-q", "-c", "-O", file, f"{job.url}/delta", env=job.bin.environment())
        self._ostree(job, box, "static-delta apply-offline", file)
        file.unlink()
