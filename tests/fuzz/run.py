"""Fuzzes every target, and says what it ran and which lines of its parsers that reached.

    run.py BUILD [--minutes N] [--jobs N] [--only TARGET,...]

BUILD is a build of the preset `fuzz`. Each target gets the same share of the time; as many run at once as there are jobs. What they
learn grows in BUILD/corpus, beginning with the corpora of the tree, which are only read. An input that ends a target is kept in
BUILD/crashes, and the exit code is 1."""

import argparse
import concurrent.futures
import json
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CORPUS = HERE / "corpus"

# The sources that each target is for, as patterns below the root. (Of those that write the same form too, the lines of the writer count.)
PARSERS = {
    "archive": ["publisher/archive/*.cpp"],
    "artifact": ["publisher/artifact/pack_file.cpp", "publisher/artifact/artifact_folder.cpp", "publisher/artifact/image_file.cpp",
                 "publisher/console/json_fields.cpp"],
    "bundle": ["files/bundle.cpp"],
    "delta": ["core/delta/decoder.cpp", "core/delta/delta_head.cpp", "core/delta/file_control.cpp", "core/delta/copy_map.cpp",
              "core/delta/elf_image.cpp", "core/delta/references.cpp", "core/delta/reference_tables.cpp", "core/delta/instructions.cpp",
              "core/delta/lzma_decoder.cpp", "core/delta/block_control.cpp", "core/delta/block_table.cpp", "core/delta/block_writer.cpp"],
    "device_files": ["device-client/process/config.cpp", "device-client/process/json_line.cpp",
                     "device-client/process/container_files.cpp", "device-client/process/container_image.cpp",
                     "device-client/process/container_volumes.cpp", "device-client/containers/run_record.cpp", "core/base/server_uri.cpp"],
    "envelope": ["core/trust/envelope.cpp", "core/trust/root.cpp", "core/trust/keys.cpp", "core/trust/trust_store.cpp"],
    "gzip": ["core/delta/gzip_recipe.cpp", "core/delta/gzip_stream.cpp", "core/delta/make/gzip_*.cpp"],
    "image": ["core/delta/make/squashfs.cpp", "core/delta/make/image_*.cpp", "core/delta/make/archive_*.cpp", "core/delta/block_*.cpp"],
    "index": ["core/artifact/index.cpp", "core/artifact/index_checker.cpp", "core/artifact/entry_fields.cpp", "core/artifact/pack.cpp",
              "core/artifact/codec.cpp", "core/artifact/varint.cpp"],
    "index_delta": ["core/delta/index_delta_*.cpp", "core/delta/path_edits.cpp", "core/delta/tree_alignment.cpp"],
    "operator": ["publisher/release/release.cpp", "publisher/release/policy_spec.cpp", "publisher/release/inspection.cpp",
                 "publisher/broker/connection.cpp", "publisher/broker/rollout_view.cpp", "publisher/broker/device_view.cpp",
                 "publisher/console/json_fields.cpp", "publisher/console/text.cpp", "json/read.cpp"],
    "programs": ["publisher/check/elf_file.cpp", "publisher/check/script_line.cpp", "publisher/check/tree_paths.cpp",
                 "publisher/check/dynamic_loader.cpp", "publisher/check/program_check.cpp"],
    "records": ["core/rollout/exchange/record.cpp", "storage/key_layout.cpp"],
    "service": ["broker-plugin/commands*.cpp", "broker-plugin/reply.cpp", "broker-plugin/access.cpp", "broker-plugin/intake.cpp",
                "broker-plugin/upload.cpp", "broker-plugin/service_*.cpp", "core/rollout/tracker.cpp"],
    "state": ["core/revision/state_codec.cpp", "core/revision/anchor.cpp"],
    "wire": ["core/wire/*.cpp"],
}
LIMITS = ["-max_len=8192", "-timeout=20", "-rss_limit_mb=2048", "-print_final_stats=1"]
FOUND = 1


@dataclass
class Result:
    target: str
    ended_by: str = ""  # the file with the input that ended it
    runs: int = 0
    a_second: int = 0
    inputs: int = 0
    coverage: list[tuple[str, int, int]] = field(default_factory=list)  # source, lines reached, lines


def run(build: Path, target: str, seconds: int) -> Result:
    result = Result(target)
    grown, crashes = build / "corpus" / target, build / "crashes"
    grown.mkdir(parents=True, exist_ok=True)
    crashes.mkdir(exist_ok=True)
    program = build / "tests/fuzz" / f"fuzz_{target}"
    with tempfile.TemporaryDirectory(prefix="instar-fuzz-") as scratch:
        # What was freed is kept from use for long enough, in memory that is not new each time.
        quiet = dict(os.environ, TMPDIR=scratch, LLVM_PROFILE_FILE="/dev/null", ASAN_OPTIONS="quarantine_size_mb=16")
        done = subprocess.run([program, f"-max_total_time={seconds}", *LIMITS, f"-artifact_prefix={crashes}/{target}-", grown,
                               CORPUS / target], env=quiet, capture_output=True, text=True, errors="replace", check=False)
        statistics = dict(re.findall(r"^stat::(\w+):\s+(\d+)", done.stderr, re.M))
        result.runs = int(statistics.get("number_of_executed_units", 0))
        result.a_second = int(statistics.get("average_exec_per_sec", 0))
        result.inputs = sum(1 for folder in (grown, CORPUS / target) for _ in folder.iterdir())
        if done.returncode != 0:
            kept = re.search(r"Test unit written to (\S+)", done.stderr)
            result.ended_by = kept.group(1) if kept else str(crashes / f"{target}.log")
            (crashes / f"{target}.log").write_text(done.stderr)
            return result
        result.coverage = coverage(program, [grown, CORPUS / target], PARSERS[target], Path(scratch))
    return result


def coverage(program: Path, corpora: list[Path], patterns: list[str], scratch: Path) -> list[tuple[str, int, int]]:
    """Of each source: (its name, lines reached by these inputs, all lines that have code)."""
    raw, data = scratch / "raw", scratch / "data"
    subprocess.run([program, "-runs=0", "-timeout=60", *corpora], env=dict(os.environ, TMPDIR=str(scratch), LLVM_PROFILE_FILE=str(raw)),
                   capture_output=True, check=True)
    subprocess.run(["llvm-profdata-14", "merge", "-sparse", raw, "-o", data], check=True)
    sources = sorted(path for pattern in patterns for path in ROOT.glob(pattern) if not path.name.endswith("_test.cpp"))
    report = subprocess.run(["llvm-cov-14", "export", "-summary-only", f"-instr-profile={data}", program, *sources],
                            capture_output=True, text=True, check=True)
    files = {entry["filename"]: entry["summary"]["lines"] for entry in json.loads(report.stdout)["data"][0]["files"]}
    # A source of which the program has nothing is not in the report.
    lines = [(path, files.get(str(path), {"covered": 0, "count": 0})) for path in sources]
    return [(str(path.relative_to(ROOT)), line["covered"], line["count"]) for path, line in lines]


def show(results: list[Result]) -> None:
    print(f"\n{'target':<14}{'runs':>12}{'a second':>10}{'inputs':>8}")
    for each in results:
        print(f"{each.target:<14}{each.runs:>12,}{each.a_second:>10,}{each.inputs:>8}" + ("  ENDED" if each.ended_by else ""))
    print(f"\n{'lines reached of':<52}{'lines':>12}{'':>8}  by")
    for each in results:
        for source, covered, count in each.coverage:
            share = f"{covered * 100 // count}%" if count else "-"
            print(f"{source:<52}{f'{covered}/{count}':>12}{share:>8}  {each.target}")


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("build", type=Path)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    build = options.build.resolve()
    targets = options.only.split(",") if options.only else sorted(PARSERS)
    jobs = min(options.jobs, len(targets))
    seconds = max(1, int(options.minutes * 60 * jobs / len(targets)))
    print(f"fuzz: {len(targets)} targets, {seconds} s each, {jobs} at once", flush=True)
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        results = list(pool.map(lambda target: run(build, target, seconds), targets))
    show(results)
    ended = [each for each in results if each.ended_by]
    for each in ended:
        print(f"\nfuzz_{each.target} was ended by the input {each.ended_by}; why: {build}/crashes/{each.target}.log")
    return FOUND if ended else 0


if __name__ == "__main__":
    sys.exit(main())
