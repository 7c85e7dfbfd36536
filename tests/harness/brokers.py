"""Other versions of Mosquitto than this machine's: Debian's packages, unpacked under build/brokers/SUITE and run by their own loader and C library.
Nothing is installed. `make brokers` prepares them (`python3 -B -m harness.brokers [SUITE …]` in tests/)."""

import fcntl
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

BROKERS = Path(__file__).resolve().parents[2] / "build/brokers"
HERE = "bookworm"  # what is installed, on the one system that the tests run on
SUITES = ("trixie", "sid")
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"

# What the plugin is linked with and the suite has not comes from this machine, so that the plugin is the same file everywhere.
WRAPPER = """\
#!/bin/sh
# Made by tests/harness/brokers.py
root=$(cd "$(dirname "$0")" && pwd)/root
exec "$root{loader}" --library-path "$root{libraries}:$root/lib/{triplet}:{libraries}:/lib/{triplet}" "$root/usr/sbin/mosquitto" "$@"
"""


@dataclass(frozen=True)
class Mosquitto:
    suite: str
    program: str  # what to start
    root: Path  # where its files are

    def library(self, name: str) -> Path:
        """A plugin that comes with it."""
        places = self.root / "usr/lib"
        found = [*places.glob(f"*/{name}"), *places.glob(f"*/mosquitto/{name}")]
        assert found, f"Mosquitto of {self.suite} brings no {name}"
        return found[0]

    @property
    def elf(self) -> Path:
        return self.root / "usr/sbin/mosquitto"

    def version(self) -> tuple[int, ...]:
        said = subprocess.run([self.program, "-h"], capture_output=True, text=True).stdout
        found = re.search(r"mosquitto version (\d+)\.(\d+)\.(\d+)", said)
        assert found, f"{self.program} does not say its version: {said}"
        return tuple(map(int, found.groups()))


def chosen(program: str) -> Mosquitto:
    """That of a program: one that was prepared here, or the machine's."""
    root = Path(program).parent / "root"
    return Mosquitto(root.parent.name, program, root) if root.is_dir() else Mosquitto(HERE, program, Path("/"))


def mirror() -> str:
    """Where apt gets Debian's own packages from on this machine, whether it has its lists just now or not."""
    asked = subprocess.run(["apt-get", "update", "--print-uris"], capture_output=True, text=True, check=True).stdout
    found = re.findall(rf"^'(\S+)/dists/{HERE}/InRelease'", asked, re.M)
    # Others have a suite of that name, too.
    found.sort(key=lambda site: not site.rstrip("/").endswith("debian"))
    assert found, f"apt is configured with no source of {HERE}"
    return found[0]


def apt(folder: Path, *command: str) -> None:
    """apt-get with a state of its own, in which nothing is installed."""
    for name in ("lists/partial", "archives/partial"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "status").touch()
    options = {"Dir::State": folder, "Dir::State::lists": folder / "lists", "Dir::State::status": folder / "status", "Dir::Cache": folder,
               "Dir::Cache::archives": folder / "archives", "Dir::Etc::sourcelist": folder / "sources.list", "Dir::Etc::sourceparts": "/nonexistent",
               "Dir::Etc::preferencesparts": "/nonexistent", "APT::Sandbox::User": "root", "APT::Keep-Downloaded-Packages": "true",
               "Binary::apt-get::APT::Keep-Downloaded-Packages": "true", "DPkg::Post-Invoke": "", "APT::Update::Post-Invoke": "",
               "Acquire::Retries": "3", "Dpkg::Use-Pty": "0"}
    arguments = [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
    done = subprocess.run(["apt-get", "-q", *arguments, *command], capture_output=True, text=True)
    assert done.returncode == 0, f"apt-get {' '.join(command)} for {folder}:\n{done.stdout[-1500:]}{done.stderr[-1500:]}"


def unpack(suite: str, folder: Path) -> None:
    state = folder / "apt"
    state.mkdir(parents=True)
    (state / "sources.list").write_text(f"deb [signed-by={KEYRING}] {mirror()} {suite} main\n")
    apt(state, "update")
    apt(state, "-y", "--no-install-recommends", "--download-only", "install", "mosquitto")
    root = folder / "root"
    # Newer suites have /lib as a link into /usr, and their packages put nothing there but the loader.
    for package in sorted((state / "archives").glob("*.deb")):
        subprocess.run(["dpkg-deb", "-x", str(package), str(root)], check=True)
    loader = next(path for place in ("usr/lib64", "lib64", "usr/lib", "lib") if (path := next((root / place).glob("ld-linux*.so.*"), None)))
    triplet = subprocess.run(["dpkg-architecture", "-qDEB_HOST_MULTIARCH"], capture_output=True, text=True, check=True).stdout.strip()
    # A package may leave it to ldconfig to make the links by which its libraries are found.
    subprocess.run(["/sbin/ldconfig", "-n", str(root / f"usr/lib/{triplet}")], check=True)
    wrapper = folder / "mosquitto"
    wrapper.write_text(WRAPPER.format(loader=f"/{loader.relative_to(root)}", libraries=f"/usr/lib/{triplet}", triplet=triplet))
    wrapper.chmod(0o755)
    shutil.rmtree(state)


def prepare(suite: str) -> Mosquitto:
    """Gets it, once; remove build/brokers to get newer ones. The machine's own is ready."""
    if suite == HERE:
        return Mosquitto(HERE, "/usr/sbin/mosquitto", Path("/"))
    BROKERS.mkdir(parents=True, exist_ok=True)
    folder = BROKERS / suite
    with (BROKERS / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            made = BROKERS / f"{suite}.new"
            shutil.rmtree(made, ignore_errors=True)
            unpack(suite, made)
            made.rename(folder)
    return chosen(str(folder / "mosquitto"))


if __name__ == "__main__":
    for name in sys.argv[1:] or SUITES:
        broker = prepare(name)
        print(f"{name}: Mosquitto {'.'.join(map(str, broker.version()))}, INSTAR_MOSQUITTO={os.path.relpath(broker.program)}")
