#!/usr/bin/env python3
"""What a link gives to an update that it gives to a download: goodput of a device that takes a release, beside `curl -C -` that goes on with
a file of the same size from nginx, over links that are slow, late and cut.

Both go through the same shaper. Prints a table, and writes build/report/link.json.
"""

import argparse
import dataclasses
import json
import os
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[2] / "tests"), str(Path(__file__).resolve().parents[1])]

from harness.process import SOURCE  # noqa: E402

from link.rows import Row, all_rows  # noqa: E402
from link.sides import Nginx, Result, by_curl, by_instar  # noqa: E402

RATIO_MIN, AGAIN_MAX, WAIT_MAX_S = 0.97, 4_096, 1.5
HEAD = "| link, round trip, cuts | goodput ÷ curl's | instar, of the link | curl, of the link | again a cut: instar | curl | sent twice a cut | message |"


def per_cut(value: int, result: Result) -> int:
    return value // result.cuts if result.cuts else 0


def line(row: Row, instar: Result, curl: Result) -> str:
    share = [f"{side.bytes_per_s / row.bytes_per_s:.3f}" for side in (instar, curl)]
    again = f"{per_cut(instar.again, instar):,} | {per_cut(curl.again, curl):,} | {per_cut(instar.sent_twice, instar):,}" if row.cut_s else "– | – | –"
    wait = f"{instar.wait_s:.2f} s" if instar.wait_s is not None else "–"
    return f"| {row.name} | {instar.bytes_per_s / curl.bytes_per_s:.3f} | {share[0]} | {share[1]} | {again} | {wait} |"


def faults(row: Row, instar: Result, curl: Result) -> list[str]:
    found = []
    if instar.bytes_per_s < RATIO_MIN * curl.bytes_per_s:
        found.append(f"goodput {instar.bytes_per_s / curl.bytes_per_s:.3f} of curl's, promised: {RATIO_MIN}")
    if per_cut(instar.again, instar) > AGAIN_MAX:
        found.append(f"{per_cut(instar.again, instar):,} bytes again a cut, promised: at most {AGAIN_MAX:,}")
    if row.kbit == 64 and (instar.wait_s or 0) > WAIT_MAX_S:
        found.append(f"a message waited {instar.wait_s:.2f} s, promised: at most {WAIT_MAX_S} s")
    return found


def measure(row: Row, folder: Path, nginx: Nginx) -> tuple[Row, Result, Result]:
    instar = by_instar(folder / "instar", row)
    curl = by_curl(folder / "curl", row, nginx, instar.bytes)
    return row, instar, curl


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="rows whose name holds this; several with ;")
    parser.add_argument("--link-s", type=int, default=150, help="size of the release: what the link carries in so many seconds")
    parser.add_argument("--jobs", type=int, default=6, help="rows at a time")
    parser.add_argument("--out", type=Path, default=SOURCE / "build/report/link.json")
    arguments = parser.parse_args()
    wanted = [part.strip() for part in arguments.only.split(";")]
    rows = [row for row in all_rows(arguments.link_s) if any(part in row.name for part in wanted)]
    printing = threading.Lock()
    found: dict[Row, tuple[Result, Result]] = {}
    print(HEAD + "\n|---|---|---|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as scratch, Nginx(Path(scratch) / "nginx") as nginx, ThreadPoolExecutor(arguments.jobs) as pool:
        Path(scratch).chmod(0o755)
        tasks = [pool.submit(measure, row, Path(scratch) / str(number), nginx) for number, row in enumerate(rows)]
        for task in tasks:
            row, instar, curl = task.result()
            with printing:
                found[row] = (instar, curl)
                print(line(row, instar, curl), flush=True)
    failed = {row.name: text for row, sides in found.items() if (text := faults(row, *sides))}
    for name, texts in failed.items():
        print(f"MISSED {name}: {'; '.join(texts)}")
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps({
        "format": 1, "what": "goodput of an update and of curl over the same shaped link", "cpus": os.cpu_count(),
        "rows": [{"row": row.name, "bytes_per_s": row.bytes_per_s, "size": row.size, "ratio": round(instar.bytes_per_s / curl.bytes_per_s, 4),
                  "instar": dataclasses.asdict(instar), "curl": dataclasses.asdict(curl), "missed": failed.get(row.name, [])}
                 for row, (instar, curl) in found.items()],
    }, indent=2) + "\n")
    print(f"written to {arguments.out}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
