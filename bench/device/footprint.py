"""How large a program is with all that it needs beyond the C library: stripped copies, which are what then runs."""

import os
import re
import shutil
import subprocess
from pathlib import Path

# Of Debian's libc6: every device has it.
LIBC = re.compile(r"^(ld-linux.*|lib(c|m|dl|rt|pthread|resolv|util|nsl|nss_.*|anl|BrokenLocale|thread_db))\.so(\.\d+)*$")


class Missing(Exception):
    """A program that is not on this machine; the message says what to install."""


def libraries(program: Path) -> set[Path]:
    """All that the loader maps for it; none for a static program. What it opens by name later is not among them."""
    done = subprocess.run(["ldd", str(program)], capture_output=True, text=True)
    if lost := re.findall(r"(\S+) => not found", done.stdout):
        raise Missing(f"{program} needs {', '.join(lost)}, which this machine lacks: install the package again")
    return {Path(path) for path in re.findall(r"(/\S+\.so\S*)", done.stdout)} if "statically linked" not in done.stdout else set()


class Programs:
    """Copies of programs and their libraries, so that they share no page with what else runs on this machine."""

    def __init__(self, folder: Path):
        self.folder = folder
        (folder / "bin").mkdir(parents=True)
        (folder / "lib").mkdir()
        self.program_bytes: dict[str, int] = {}
        self.library_bytes: dict[str, int] = {}

    def add(self, program: Path, package: str) -> Path:
        if not program.exists():
            raise Missing(f"{program} is not here: {package}")
        target = self.folder / "bin" / program.name
        _stripped(program, target)
        self.program_bytes[program.name] = target.stat().st_size
        for library in libraries(program):
            copy = self.folder / "lib" / library.name
            if not copy.exists():
                _stripped(library, copy)
            if not LIBC.match(library.name):
                self.library_bytes[library.name] = copy.stat().st_size
        return target

    def environment(self) -> dict[str, str]:
        return {"LD_LIBRARY_PATH": str(self.folder / "lib"), "PATH": f"{self.folder / 'bin'}:/usr/sbin:/usr/bin:/sbin:/bin"}

    def sizes(self) -> dict:
        return {"program_bytes": sum(self.program_bytes.values()), "library_bytes": sum(self.library_bytes.values()),
                "programs": dict(self.program_bytes), "libraries": dict(sorted(self.library_bytes.items()))}


def _stripped(source: Path, target: Path) -> None:
    done = subprocess.run(["strip", "--strip-unneeded" if ".so" in source.name else "--strip-all", "-o", str(target), str(source.resolve())],
                          capture_output=True, text=True)
    if done.returncode != 0:
        if source.read_bytes()[:4] == b"\x7fELF":
            raise Missing(f"{source} cannot be stripped: {done.stderr.strip()}")
        # A script has nothing to strip.
        shutil.copy(source.resolve(), target)
    os.chmod(target, 0o755)
    # Pages that wait to be written would count as the program's private dirty ones.
    with target.open("rb") as file:
        os.fsync(file.fileno())
