"""The rules of the house. Each function looks at a checkout and returns its violations as readable lines."""

import fnmatch
import json
import os
import re
import runpy
import subprocess
from pathlib import Path

SOURCE_FOLDERS = ["core", "json", "storage", "files", "mqtt", "broker-plugin", "publisher", "device-client"]

# A room is a folder with a direction of its own; a file is in the innermost one. Room → rooms whose headers its sources may include, besides
# its own. A permit that nothing uses is taken away again (unused_permits).
CORE_BELOW_WIRE = ["core/base", "core/trust", "core/artifact"]
CORE_OF_DEVICES = CORE_BELOW_WIRE + ["core/wire", "core/revision"]
MAY_INCLUDE = {
    "core/base": [],
    "core/trust": ["core/base", "schemas"],
    "core/artifact": ["core/base", "core/trust"],
    "core/delta": CORE_BELOW_WIRE,
    "core/delta/make": ["core/base", "core/trust", "core/artifact", "core/delta"],
    "core/wire": CORE_BELOW_WIRE + ["schemas"],
    # The devices' side and the rollout's side speak through `exchange` only.
    "core/rollout": ["core/base", "core/wire", "core/rollout/devices", "core/rollout/rollouts", "core/rollout/exchange"],
    "core/rollout/devices": ["core/base", "core/wire", "core/rollout/exchange"],
    "core/rollout/rollouts": ["core/base", "core/wire", "core/rollout/exchange"],
    "core/rollout/exchange": ["core/base", "core/trust", "core/wire"],
    "core/revision": CORE_BELOW_WIRE + ["core/wire", "schemas"],
    "json": ["core/base"],
    "storage": ["core/base"],
    "files": CORE_BELOW_WIRE,
    "mqtt": ["core/base", "core/wire"],
    # The adapters: neither knows the other, and the port knows none.
    "mqtt/paho_c": ["core/base", "mqtt"],
    "mqtt/paho_cpp": ["core/base", "mqtt"],
    "broker-plugin": CORE_BELOW_WIRE + ["core/wire", "core/rollout", "core/rollout/exchange", "json", "storage"],
    "broker-plugin/mosquitto": ["core/base", "core/wire", "storage", "files", "broker-plugin"],
    # A ladder: each room uses the rooms below it.
    "publisher": ["publisher/commands", "publisher/broker"],
    "publisher/commands": ["core/base", "core/trust", "core/wire", "files", "publisher/web", "publisher/broker", "publisher/release",
                           "publisher/delta", "publisher/check", "publisher/artifact", "publisher/console"],
    "publisher/web": ["core/base", "files"],
    "publisher/broker": ["core/base", "core/artifact", "core/wire", "core/revision", "files", "mqtt", "publisher/release",
                         "publisher/artifact", "publisher/console"],
    "publisher/release": CORE_BELOW_WIRE + ["core/wire", "files", "publisher/delta", "publisher/artifact", "publisher/archive",
                                            "publisher/console"],
    "publisher/delta": CORE_BELOW_WIRE + ["core/delta", "core/delta/make", "files", "publisher/artifact", "publisher/console"],
    "publisher/check": ["core/base", "core/artifact", "core/wire", "files", "publisher/artifact", "publisher/archive", "publisher/console"],
    "publisher/artifact": CORE_BELOW_WIRE + ["core/wire", "core/delta", "files", "publisher/archive", "publisher/console"],
    "publisher/archive": CORE_BELOW_WIRE + ["core/wire", "files", "publisher/console"],
    "publisher/console": ["core/base", "json"],
    # Staging, containers and lxc stand side by side: none knows another.
    "device-client": CORE_OF_DEVICES + ["files", "mqtt", "device-client/staging", "device-client/containers", "device-client/process"],
    "device-client/staging": CORE_OF_DEVICES + ["core/delta", "files"],
    "device-client/containers": CORE_OF_DEVICES + ["files", "device-client/process"],
    "device-client/lxc": ["core/base", "files", "device-client/process"],
    "device-client/process": ["core/base", "core/wire", "files"],
}
# What tests and what supports them (the folder `testing` of a room or of its program) may include beside that.
TESTS_MAY_INCLUDE = {
    "publisher": ["core/base", "files", "publisher/artifact"],
    "device-client": ["core/delta", "core/delta/make"],
    "device-client/lxc": ["files", "device-client", "device-client/containers"],
}

# Headers by which core would do what only shells may do.
IMPURE_HEADERS = [
    "fstream", "iostream", "filesystem", "random", "thread", "mutex", "shared_mutex", "condition_variable", "future", "stop_token",
    "semaphore", "latch", "barrier", "chrono", "ctime", "time.h", "csignal", "signal.h", "pthread.h", "unistd.h", "fcntl.h", "poll.h",
    "dirent.h", "netdb.h", "sys/*", "linux/*", "arpa/*", "net/*", "netinet/*", "spawn.h", "syslog.h",
]
IMPURE_CALLS = re.compile(r"\b(system_clock|steady_clock|random_device|getenv|randombytes_\w+|std::rand|syslog|fopen)\b")

# Third-party headers, and the only files that may include them.
ADAPTERS = {
    "rocksdb/*": ["storage/rocks_store*.cpp"],
    "mosquitto*.h": ["broker-plugin/mosquitto/*.cpp", "broker-plugin/mosquitto/*.hpp"],
    "openssl/*": ["broker-plugin/mosquitto/certificate.cpp", "mqtt/certificate_fault.cpp", "mqtt/probe_link.cpp"],
    "mqtt/*.h": ["mqtt/paho_cpp/paho_cpp.cpp"],
    "MQTT*.h": ["mqtt/paho_c/paho_c.cpp"],
    "libwebsockets.h": ["publisher/web/page_server.cpp"],
    "lxc/*": ["device-client/lxc/lxc_helper*.cpp"],
    "sodium*": ["core/trust/*.cpp", "core/trust/*.hpp", "publisher/archive/blob_digest.cpp"],
    "archive*.h": ["publisher/archive/archive_*.cpp", "publisher/archive/archive_handle.hpp", "publisher/archive/unpacked_source.cpp"],
    "zstd*": ["core/artifact/codec*.cpp", "core/delta/block_zstd.cpp"],
    "lz4*": ["core/delta/block_lz4.cpp"],
    "zlib*": ["core/delta/gzip_stream*.cpp", "core/delta/block_deflate.cpp", "core/delta/block_zlib.cpp", "core/delta/make/gzip_unpack.cpp", "core/delta/make/gzip_finder_test.cpp"],
    "lzma*": ["core/delta/lzma_decoder.cpp", "core/delta/block_lzma2.cpp", "core/delta/block_xz.cpp", "core/delta/make/lzma_encoder.cpp"],
    "divsufsort*": ["core/delta/make/suffix_index.cpp"],
    "CLI/*": ["publisher/commands/*"],
    "nlohmann/*": ["json/*", "broker-plugin/*", "publisher/*"],
    "flatbuffers/*": ["core/trust/flat.hpp", "core/wire/*.cpp", "core/trust/*.cpp", "core/revision/*.cpp", "core/rollout/*.cpp", "storage/*.cpp",
                      "broker-plugin/*.cpp"],
}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)
FILE_LINES_MAX = 800


def tracked(root: Path, *patterns: str) -> list[Path]:
    """Files of the checkout, built ones left out."""
    found = []
    for folder, folders, names in os.walk(root):
        here = Path(folder).relative_to(root)
        built = ("build", ".git") if folder == str(root) else ()
        folders[:] = sorted(name for name in folders if name not in (*built, "__pycache__", ".pytest_cache"))
        for path in (here / name for name in names):
            if (not patterns or any(path.match(p) for p in patterns)) and not (root / path).is_symlink():
                found.append(path)
    return sorted(found)


def cpp_files(root: Path) -> list[Path]:
    return [p for p in tracked(root, "*.cpp", "*.hpp") if p.parts[0] in SOURCE_FOLDERS]


def room_of(path: str) -> str:
    """The innermost room that the file is in; the top folder where there is none. Files of `testing` are in the room above it."""
    folder = Path(path).parent
    while str(folder) not in MAY_INCLUDE and len(folder.parts) > 1:
        folder = folder.parent
    return str(folder)


def supports_tests(path: str) -> bool:
    return path.endswith("_test.cpp") or "testing" in Path(path).parts[:-1]


def includes(root: Path, path: Path) -> list[tuple[bool, str]]:
    """(is our own, name) of each include."""
    found = []
    for mark, name in INCLUDE.findall((root / path).read_text()):
        ours = name.split("/")[0] in SOURCE_FOLDERS + ["schemas", "tests", "bench"] and not (mark == "<" and name.startswith("mqtt/"))
        found.append((ours, name))
    return found


def permits(path: str) -> list[str]:
    own = room_of(path)
    return MAY_INCLUDE.get(own, []) + (TESTS_MAY_INCLUDE.get(own, []) if supports_tests(path) else [])


def include_direction(root: Path) -> list[str]:
    bad = []
    for path in cpp_files(root):
        own = room_of(str(path))
        for ours, name in includes(root, path):
            if not ours:
                continue
            target = room_of(name)
            if target != own and target not in permits(str(path)) and not (supports_tests(str(path)) and supports_tests(name)):
                bad.append(f"{path} includes {name}: {own} may not know {target}")
            if supports_tests(name) and not supports_tests(str(path)):
                bad.append(f"{path} includes {name}: that is for tests only")
    return bad


def unused_permits(root: Path) -> list[str]:
    used = {own: set() for own in MAY_INCLUDE}
    for path in cpp_files(root):
        used.setdefault(room_of(str(path)), set()).update(room_of(name) for ours, name in includes(root, path) if ours)
    return [f"{own} may include {target}, and does not: take the permit away"
            for table in (MAY_INCLUDE, TESTS_MAY_INCLUDE) for own, targets in table.items() for target in targets if target not in used[own]]


def core_purity(root: Path) -> list[str]:
    bad = []
    for path in cpp_files(root):
        if path.parts[0] != "core" or path.name.endswith("_test.cpp"):
            continue
        for ours, name in includes(root, path):
            if not ours and any(fnmatch.fnmatch(name, pattern) for pattern in IMPURE_HEADERS):
                bad.append(f"{path} includes <{name}>: core reads no clock, draws no randomness, does no input or output")
        for number, line in enumerate((root / path).read_text().splitlines(), 1):
            call = IMPURE_CALLS.search(line.split("//")[0])
            if call:
                bad.append(f"{path}:{number} names {call.group(0)}: that belongs in a shell")
    return bad


def third_party(root: Path) -> list[str]:
    bad = []
    for path in cpp_files(root):
        for ours, name in includes(root, path):
            if ours:
                continue
            for pattern, adapters in ADAPTERS.items():
                if fnmatch.fnmatch(name, pattern) and not any(fnmatch.fnmatch(str(path), a) for a in adapters):
                    bad.append(f"{path} includes <{name}>: only {', '.join(adapters)} may")
    return bad


def tests_compiled(root: Path, compile_commands: Path) -> list[str]:
    compiled = {str(Path(entry["directory"], entry["file"]).resolve()) for entry in json.loads(compile_commands.read_text())}
    # Sources that are compiled together stand in one that includes them.
    for together in [path for path in compiled if path.endswith("_cxx.cxx")]:
        compiled |= set(re.findall(r'^#include "(.+)"$', Path(together).read_text(), re.M))
    return [f"{path} is not compiled: no target names it" for path in tracked(root, "*_test.cpp")
            if str((root / path).resolve()) not in compiled]


def linked_libraries(binary: Path, forbidden: list[str]) -> list[str]:
    out = subprocess.run(["ldd", str(binary)], capture_output=True, text=True, check=True).stdout
    return [f"{binary.name} links {line.split()[0]}" for line in out.splitlines() for name in forbidden if name in line.split()[0]]


def paho_cpp_in(binary: Path) -> list[str]:
    """The names of types of Paho's C++ library, which lie in whatever is compiled with its headers."""
    names = re.findall(rb"\x00(N4mqtt\w+E)\x00", binary.read_bytes())
    return [f"{binary.name} has {name.decode()}: it is to hold Paho's C library only" for name in names]


def _elf(binary: Path) -> str:
    return subprocess.run(["readelf", "-W", "--file-header", "--program-headers", "--dynamic", "--dyn-syms", "--syms", str(binary)],
                          capture_output=True, text=True, check=True).stdout


def hardened(binary: Path, symbols: tuple[str, ...] = ()) -> list[str]:
    """A program or plugin as the linker made it: addresses that differ from run to run, tables of the linker that nobody writes to after
    the start, no stack that can be run, and calls of the `symbols` that checks end in."""
    elf = _elf(binary)
    bad = []
    if not re.search(r"^\s*Type:\s+DYN", elf, re.M):
        bad.append("is at a fixed address (PIE)")
    if not re.search(r"^\s*GNU_RELRO\s", elf, re.M):
        bad.append("has no part that is read-only after the start (RELRO)")
    if not re.search(r"\((?:FLAGS|FLAGS_1)\).*\b(?:BIND_NOW|NOW)\b|\(BIND_NOW\)", elf):
        bad.append("binds its functions when they are called first (BIND_NOW)")
    if not re.search(r"^\s*GNU_STACK\s.*\sRW\s", elf, re.M):
        bad.append("has a stack that can be run (GNU_STACK)")
    bad += [f"never calls {symbol}" for symbol in symbols if not re.search(rf"\s{symbol}(?:@|\s|$)", elf, re.M)]
    return [f"{binary.name} {what}" for what in bad]


HARDENING = ["-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=3", "-fstack-protector-strong", "-fstack-clash-protection", "-D_GLIBCXX_ASSERTIONS"]


def hardened_sources(root: Path, compile_commands: Path, but: list[str]) -> list[str]:
    """Every source of the programs is compiled with the checks, and no later option takes one back. `but`: targets without a C library."""
    bad = set()
    for entry in json.loads(compile_commands.read_text()):
        command = entry["command"].split()
        where = os.path.relpath(os.path.join(entry["directory"], entry["file"]), root)
        if not entry["file"].endswith((".cpp", ".cxx")) or any(f"CMakeFiles/{name}.dir/" in entry["command"] for name in but):
            continue
        wanted = HARDENING + (["-fcf-protection"] if os.uname().machine == "x86_64" else [])
        bad |= {f"{where} is compiled without {flag}" for flag in wanted if flag not in command}
        last = [part for part in command if re.match(r"-[DU]_FORTIFY_SOURCE\b", part)]
        if last and last[-1] != "-D_FORTIFY_SOURCE=3":
            bad.add(f"{where}: {last[-1]} comes last")
    return sorted(bad)


# Split so that this file does not find itself.
UNFINISHED = re.compile("|".join([r"\bTO" + r"DO\b", r"\bFIX" + r"ME\b", r"\bX" + r"XX\b", "not " + "implemented", "GTEST_" + "SKIP",
                                  r"\bDIS" + "ABLED_", r"pytest\.mark\." + "skip", r"pytest\." + r"skip\("]), re.I)
TEXT = ["*.cpp", "*.hpp", "*.h", "*.py", "*.md", "*.fbs", "*.txt", "*.cmake", "*.json", "*.sh", "*.conf", "*.service", "Makefile",
        "*.ts", "*.tsx", "*.mjs", "*.css", "*.html"]


def hygiene(root: Path) -> list[str]:
    bad = []
    for path in tracked(root):
        raw = (root / path).read_bytes()
        if len(raw) > 1_000_000:
            bad.append(f"{path}: {len(raw)} bytes are too many for a source tree")
            continue
        if not any(path.match(pattern) for pattern in TEXT):
            continue
        text = raw.decode("utf-8", errors="replace")
        if "\ufffd" in text:
            bad.append(f"{path}: not UTF-8")
        if text and not text.endswith("\n"):
            bad.append(f"{path}: no newline at the end")
        if "\r" in text:
            bad.append(f"{path}: carriage return")
        for number, line in enumerate(text.splitlines(), 1):
            if line != line.rstrip() and not path.match("*.md"):
                bad.append(f"{path}:{number}: space at the end of the line")
            if UNFINISHED.search(line):
                bad.append(f"{path}:{number}: unfinished or skipped: {line.strip()}")
            if re.search(r"(?<![\w.])/(work/|root/|home/(?!alice/))\w", line):
                bad.append(f"{path}:{number}: a path of somebody's machine: {line.strip()}")
        if path.suffix in (".cpp", ".hpp", ".py", ".ts", ".tsx") and text.count("\n") > FILE_LINES_MAX:
            bad.append(f"{path}: {text.count(chr(10))} lines, split it before {FILE_LINES_MAX}")
    return bad


def fuzz_targets(root: Path) -> list[str]:
    """Each target of tests/fuzz is built, begins with a corpus, and says which sources it is for; they are there."""
    folder = root / "tests/fuzz"
    build = (folder / "CMakeLists.txt").read_text()
    parsers = runpy.run_path(str(folder / "run.py"))["PARSERS"]
    targets = {path.stem.removeprefix("fuzz_") for path in folder.glob("fuzz_*.cpp")}
    bad = [f"tests/fuzz/run.py names no sources of fuzz_{name}" for name in sorted(targets - parsers.keys())]
    bad += [f"tests/fuzz/run.py names fuzz_{name}, which is not there" for name in sorted(parsers.keys() - targets)]
    bad += [f"fuzz_{name} is not built" for name in sorted(targets) if f"instar_fuzz({name} " not in build]
    bad += [f"fuzz_{name} has no corpus" for name in sorted(targets) if not any((folder / "corpus" / name).glob("*"))]
    bad += [f"tests/fuzz/run.py: {pattern} is not there"
            for patterns in parsers.values() for pattern in patterns if not any(root.glob(pattern))]
    return bad


def links(root: Path) -> list[str]:
    """Relative links of the Markdown pages lead somewhere."""
    bad = []
    for path in tracked(root, "*.md"):
        text = re.sub(r"```.*?```", "", (root / path).read_text(), flags=re.S)
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            if re.match(r"[a-z]+:", target) or target.startswith("#"):
                continue
            if not (root / path.parent / target.split("#")[0]).exists():
                bad.append(f"{path}: link to {target}, which is not there")
    return bad


LIMITS = "core/base/limits.hpp"
BOUND = re.compile(r"\bconstexpr\b[^=;({]*\b(k\w*(?:Max|Min)|k(?:Max|Min)[A-Z]\w*)\s*[={]")


def bounds(root: Path) -> list[str]:
    """A constant with the name of a bound, such as kTextBytesMax, is in limits.hpp. Tests may have their own."""
    bad = []
    for path in cpp_files(root):
        if str(path) == LIMITS or supports_tests(str(path)):
            continue
        code = re.sub(r"//.*", "", (root / path).read_text())
        bad += [f"{path}: {name} is a bound by its name: put it into {LIMITS}, or call it by what it is" for name in BOUND.findall(code)]
    return bad


def limits_page(root: Path) -> list[str]:
    """docs/limits.md names every bound of limits.hpp with its value, and no other."""
    header = (root / LIMITS).read_text()
    values: dict[str, int] = {}
    for name, expression in re.findall(r"inline constexpr [\w:]+ (k\w+) =\s*([^;]+);", header):
        expression = re.sub(r"std::uint64_t\{(\d+)\}", r"\1", expression.replace("'", ""))
        values[name] = eval(expression, {"__builtins__": {}}, dict(values))  # constants of our own header
    rows = {name: int(value.replace(" ", "").replace(",", ""))
            for name, value in re.findall(r"^\| `(k\w+)` \| ([\d, ]+)", (root / "docs/limits.md").read_text(), re.M)}
    bad = [f"docs/limits.md: {name} = {value} is missing" for name, value in values.items() if name not in rows]
    bad += [f"docs/limits.md: {name} is {rows[name]}, but the code says {values[name]}"
            for name in rows if name in values and rows[name] != values[name]]
    bad += [f"docs/limits.md: {name} is no bound of limits.hpp" for name in rows if name not in values]
    return bad


def command_blocks(page: Path) -> list[str]:
    """The ```sh run blocks of a page: commands that are run by a test just as they stand there."""
    return re.findall(r"^```sh run\n(.*?)^```", page.read_text(), flags=re.S | re.M)


COLUMNS_MAX = 120


def unbroken(line: str) -> list[str]:
    """The parts of a line of Markdown between which it may be broken: code spans stay whole."""
    return re.findall(r"(?:`[^`]*`|\S)+", line)


def width(root: Path) -> list[str]:
    """Pages have lines of at most 120 columns, but for tables, code, and what cannot be broken, such as a long link."""
    bad = []
    for path in tracked(root, "*.md"):
        fenced = False
        for number, line in enumerate((root / path).read_text().splitlines(), 1):
            if line.lstrip().startswith("```"):
                fenced = not fenced
            if fenced or len(line) <= COLUMNS_MAX or line.lstrip().startswith(("|", "#")):
                continue
            if len(unbroken(re.sub(r"^\s*([-*+]|\d+\.)\s", "", line))) > 1:
                bad.append(f"{path}:{number}: {len(line)} columns, {COLUMNS_MAX} are allowed")
    return bad


# What a path looks like in a page.
NAMED = re.compile(r"`([\w.*-]+(?:/[\w.*-]+)*/?)`")
NAMED_SUFFIXES = {".cpp", ".hpp", ".py", ".fbs", ".txt", ".cmake", ".md", ".dot", ".svg", ".hex"}


def named_paths(root: Path) -> list[str]:
    """Files and folders of this tree that a page names, as `core/base/` or `app.cpp`, are there. Not those of a page that says what
    was once: decisions and the change log."""
    bad = []
    files = tracked(root)
    names = {str(path) for path in files} | {str(folder) for path in files for folder in path.parents}
    tops = {path.parts[0] for path in files if len(path.parts) > 1}
    last = {Path(name).name for name in names}
    for page in (path for path in files if path.suffix == ".md" and path.name != "CHANGELOG.md" and "decisions" not in path.parts):
        for number, line in enumerate((root / page).read_text().splitlines(), 1):
            for name in NAMED.findall(line):
                wanted = name.rstrip("/")
                in_tree = wanted.split("/")[0] in tops and "/" in name
                if not in_tree and (Path(wanted).suffix not in NAMED_SUFFIXES or wanted.startswith("*")):
                    continue
                places = {wanted, os.path.normpath(page.parent / wanted)}
                if not any(fnmatch.filter(names if "/" in wanted else last, place) for place in places):
                    bad.append(f"{page}:{number}: {name} is not there")
    return bad


# Words that the pages do not use, and what docs/words.md has for them.
PLAIN = {"anew": "again", "heed": "obey", "hindrance": "blocker", "reckon": "compute", "hear": "receive", "heard": "received",
         "told": "notified, or reported", "tell": "report, show or print"}
NOT_PLAIN = re.compile(rf"\b({'|'.join(PLAIN)})(s|ed)?\b", re.I)


def plain_words(root: Path) -> list[str]:
    bad = []
    for path in tracked(root, "*.md"):
        if path.name == "words.md" or "decisions" in path.parts:
            continue
        text = re.sub(r"```.*?```|`[^`]*`", lambda code: "\n" * code.group(0).count("\n"), (root / path).read_text(), flags=re.S)
        for number, line in enumerate(text.splitlines(), 1):
            bad += [f"{path}:{number}: {word.group(0)}: {PLAIN[word.group(1).lower()]} (docs/words.md)"
                    for word in NOT_PLAIN.finditer(line)]
    return bad
