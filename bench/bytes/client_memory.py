#!/usr/bin/env python3
"""What a delta costs the device's client in memory: the PSS of the real `instar-device`, from idle to commit, over a real broker.

A small tree (the pair esb, 10 MB) and a large one (mb and node together, 240 MB) are each installed, the client is started again, and release 2
comes as a delta. PSS is read every 20 ms; what counts is its peak over the idle client. Writes build/report/client-memory.json.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from harness.operator import Keys, run  # noqa: E402
from harness.process import SOURCE  # noqa: E402
from harness.site import Site  # noqa: E402
from pairs import make  # noqa: E402

TREES = {"small": ["esb"], "large": ["mb", "node"]}


def pss_kib(pid: int) -> int:
    """0 when the process is gone."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


class Watch(threading.Thread):
    """The highest PSS of a process while the block runs."""

    def __init__(self, pid: int):
        super().__init__(daemon=True)
        self.pid, self.peak, self.samples, self.done = pid, 0, 0, threading.Event()

    def run(self) -> None:
        while not self.done.wait(0.02):
            self.peak, self.samples = max(self.peak, pss_kib(self.pid)), self.samples + 1

    def __enter__(self) -> "Watch":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.done.set()
        self.join()


def tree_of(site: Site, release: str, names: list[str], side: str, folder: Path) -> Path:
    tree = site.tree(release)
    for name in names:
        pair = make(name, folder)
        subprocess.run(["cp", "-a", str(getattr(pair, side)), str(tree / "usr/share/data" / name)], check=True)
    return tree


def measure(name: str, keys: Keys, pairs: Path, scratch: Path) -> dict:
    with Site(scratch / name, keys) as site:
        device = site.add_device("box")
        one = tree_of(site, "1.0", TREES[name], "old", pairs)
        base = site.operator.pack(one, level=1)
        site.wait_for_counts(site.operator.publish("1.0", one, timeout_s=600)["rollout"], {"committed": 1}, 600)
        two = tree_of(site, "2.0", TREES[name], "new", pairs)
        out = site.operator.folder / "2.0.artifact"
        made = run(["pack", str(two), "--out", str(out), "--level", "1", "--base", str(base)], timeout_s=1800)
        delta = next(pack for pack in made["packs"] if pack["kind"] == "delta")
        size = sum(path.stat().st_size for path in two.rglob("*") if path.is_file() and not path.is_symlink())
        shutil.rmtree(two)
        shutil.rmtree(one)
        device.restart()
        device.wait_for_release("1.0")
        time.sleep(2)
        idle = statistics.median(pss_kib(device.process.pid) for _ in range(10))
        two.mkdir()
        with Watch(device.process.pid) as watch:
            rollout = site.operator.publish("2.0", two, timeout_s=600)["rollout"]
            site.wait_for_counts(rollout, {"committed": 1}, 900)
        row = next(row for row in site.operator.ask("rollout", "show", rollout, "--devices")["members"] if row["device"] == device.id)
        return {"tree_bytes": size, "pack_kind": row["pack_kind"], "bytes_fetched": row["bytes_fetched"],
                "decoder_memory_stated_kib": delta["memory_bytes"] // 1024, "idle_pss_kib": int(idle), "peak_pss_kib": watch.peak,
                "over_idle_kib": watch.peak - int(idle), "samples": watch.samples}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=Path, default=SOURCE / "build/bench", help="where the pairs are kept")
    parser.add_argument("--trees", default=",".join(TREES), help="small,large")
    parser.add_argument("--out", type=Path, default=SOURCE / "build/report/client-memory.json")
    arguments = parser.parse_args()
    result = {}
    with tempfile.TemporaryDirectory() as scratch:
        keys = Keys(Path(scratch) / "keys")
        for name in arguments.trees.split(","):
            result[name] = measure(name, keys, arguments.pairs, Path(scratch))
            row = result[name]
            print(f"{name}: tree {row['tree_bytes'] / 1e6:.0f} MB, {row['pack_kind']} of {row['bytes_fetched']:,} bytes; client PSS "
                  f"{row['idle_pss_kib']:,} KiB idle, {row['peak_pss_kib']:,} KiB at its peak: {row['over_idle_kib']:,} KiB more", flush=True)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps({"format": 1, "what": "PSS of instar-device while a delta is fetched, made, tried and committed",
                                         "trees": result}, indent=2) + "\n")
    print(f"written to {arguments.out}")


if __name__ == "__main__":
    main()
