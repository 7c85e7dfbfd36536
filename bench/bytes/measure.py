"""Runs a command in a child and says what it took: wall and CPU seconds, and the peak memory of its largest process."""

import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent


class Failed(Exception):
    """A command that did not succeed, with what it wrote."""


@dataclass(frozen=True)
class Cost:
    wall_s: float = 0.0
    cpu_s: float = 0.0
    peak_kib: int = 0
    output: str = ""

    def then(self, after: "Cost") -> "Cost":
        """Of two commands that run one after the other."""
        return Cost(self.wall_s + after.wall_s, self.cpu_s + after.cpu_s, max(self.peak_kib, after.peak_kib), self.output + after.output)


class Runner:
    def __init__(self, folder: Path):
        """Builds the small static program that does the measuring into `folder`."""
        self.program = folder / "measure"
        source = HERE / "measure.c"
        if not self.program.exists() or self.program.stat().st_mtime < source.stat().st_mtime:
            folder.mkdir(parents=True, exist_ok=True)
            subprocess.run(["cc", "-O2", "-static", "-o", str(self.program), str(source)], check=True)

    def run(self, command: list, cwd: Path | None = None) -> Cost:
        """Throws Failed unless the command exits with 0. Languages and time zones of this machine are kept out of it."""
        with tempfile.NamedTemporaryFile("r") as report:
            done = subprocess.run([str(self.program), report.name, *map(str, command)], cwd=cwd, stdin=subprocess.DEVNULL,
                                  capture_output=True, text=True, errors="replace",
                                  env=dict(os.environ, LC_ALL="C.UTF-8", TZ="UTC"))
            if done.returncode != 0:
                text = (done.stderr or done.stdout).strip()[-300:]
                raise Failed(f"`{' '.join(map(str, command))[:120]}` ended with {done.returncode}: {text}")
            wall, cpu, peak = report.read().split()
        return Cost(float(wall), float(cpu), int(peak), done.stdout)

    def shell(self, line: str, cwd: Path) -> Cost:
        """A line of shell: programs in a pipe count their CPU together, and the largest one's memory."""
        return self.run(["bash", "-o", "pipefail", "-c", line], cwd)
