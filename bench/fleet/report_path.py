"""What the flags that harden the plugin (cmake/InstarToolchain.cmake) cost of a report: the path of a report through checks and rollouts
(report_path.cpp), compiled with them and without, from the same sources and by otherwise the same flags."""

import itertools
import json
import shlex
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

from harness.process import BUILD, SOURCE

# All sources of these folders are on the path, or next to it; those of one are compiled together, as in the build itself.
ROOMS = ["core/base", "core/trust", "core/artifact", "core/wire", "core/rollout/exchange", "core/rollout/devices", "core/rollout/rollouts",
         "core/rollout"]
SINGLE = ["bench/fleet/report_path.cpp", "broker-plugin/opener.cpp", "core/rollout/testing/messages.cpp"]
HARDENING = ["-D_GLIBCXX_ASSERTIONS", "-fstack-protector-strong", "-fstack-clash-protection", "-fcf-protection", "-U_FORTIFY_SOURCE",
             "-D_FORTIFY_SOURCE=3"]
# A compiler may have them on by itself.
SOFT = ["-U_GLIBCXX_ASSERTIONS", "-fno-stack-protector", "-fno-stack-clash-protection", "-U_FORTIFY_SOURCE"]


def compiler_and_flags() -> list[str]:
    """As the build compiles core/, without what belongs to one file of it."""
    entry = next(one for one in json.loads((BUILD / "compile_commands.json").read_text()) if "/instar_wire.dir/" in one["command"])
    words = shlex.split(entry["command"])
    at = next(number for number, word in enumerate(words) if Path(word).name in ("c++", "g++", "clang++"))
    kept = [word for word in words[at + 1:] if word[:2] in ("-D", "-U", "-I", "-O", "-f", "-m") or word.startswith("-std")]
    return [words[at], *kept, f"-I{BUILD}", "-w"]


def build(folder: Path, *, hardened: bool) -> Path:
    folder.mkdir(parents=True)
    command = compiler_and_flags()
    assert set(HARDENING[:-2]) <= set(command), "this build is not hardened"
    if not hardened:
        command = [word for word in command if word not in HARDENING] + SOFT
        command += ["-fcf-protection=none"] if "-fcf-protection" in compiler_and_flags() else []
    for room in ROOMS:
        sources = sorted(path for path in (SOURCE / room).glob("*.cpp") if not path.name.endswith("_test.cpp"))
        (folder / f"{room.replace('/', '_')}.cpp").write_text("".join(f'#include "{path}"\n' for path in sources))
    sources = [*folder.glob("*.cpp"), *[SOURCE / name for name in SINGLE]]

    def compiled(source: Path) -> Path:
        out = folder / f"{source.stem}-{source.parent.name}.o"
        subprocess.run([*command, "-c", source, "-o", out], check=True)
        return out

    with ThreadPoolExecutor(2) as pool:
        objects = list(pool.map(compiled, sources))
    program = folder / "report_path"
    subprocess.run([command[0], *objects, "-lsodium", "-lzstd", "-o", program], check=True)
    return program


def measure(folder: Path, rounds: int) -> dict:
    """CPU time of one report, with the flags and without, in turns: its signature checked and the report read, and applied. Medians."""
    programs = {"with": build(folder / "with", hardened=True), "without": build(folder / "without", hardened=False)}
    seen: dict[str, list[dict]] = {name: [] for name in programs}
    for _, (name, program) in itertools.product(range(rounds), programs.items()):
        seen[name].append(json.loads(subprocess.run([program], stdout=subprocess.PIPE, text=True, check=True).stdout))
    rows = {name: {key: median(row[key] for row in rows) for key in ("check_us", "apply_us")} for name, rows in seen.items()}
    for row in rows.values():
        row["us"] = row["check_us"] + row["apply_us"]
    for row in rows.values():
        row["ratio"] = row["us"] / rows["without"]["us"]
        row["apply_ratio"] = row["apply_us"] / rows["without"]["apply_us"]
    return rows
