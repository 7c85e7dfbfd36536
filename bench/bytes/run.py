#!/usr/bin/env python3
"""Bytes on the wire to bring a device from one release to the next: Instar and its peers on the same pairs of trees.

Makes the pairs from pinned versions, runs each method, checks that it rebuilt the new tree, and prints one table. A whole run writes
build/report/bytes.json and docs/benchmarks.md. Results are kept in build/bench: what was measured with the same versions of the same
tools is not measured again.
"""

import argparse
import hashlib
import json
import sys
from pathlib import Path

import pairs
import report
from chunks import chunks
from hdiffpatch import hdiffpatch
from measure import Failed, Runner
from method import Method, NotMeasured
from ours import Instar
from patches import patches
from trees import trees

SOURCE = Path(__file__).resolve().parents[2]


def methods() -> list[Method]:
    return [Instar(), *hdiffpatch(), *trees()[1:], *patches(), *chunks(), *trees()[:1]]


def measured(method: Method, pair: pairs.Pair, folder: Path, runner: Runner, again: bool) -> dict:
    """The figures as JSON, or {"not_measured": why}. Figures are kept; a failure is tried again."""
    try:
        version = method.version()
    except NotMeasured as why:
        return {"not_measured": str(why)}
    key = hashlib.sha256(json.dumps([version, method.commands, pairs.identity(pair)]).encode()).hexdigest()[:16]
    kept = folder / "results" / pair.name / f"{method.name}-{key}.json"
    if kept.exists() and not again:
        return json.loads(kept.read_text())
    print(f"  {pair.name}: {method.name}", file=sys.stderr, flush=True)
    try:
        found = method.measure_in(pair, folder, runner).as_json() | {"version": version}
    except (NotMeasured, Failed) as why:
        return {"not_measured": str(why), "version": version}
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps(found, indent=2) + "\n")
    return found


def chosen(text: str | None, offered: list[str], what: str) -> list[str]:
    wanted = text.split(",") if text else offered
    for name in wanted:
        if name not in offered:
            raise SystemExit(f"no {what} is named {name}: choose from {', '.join(offered)}")
    return wanted


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", help="by commas; all of them by default")
    parser.add_argument("--peers", help="methods by commas; all of them by default")
    parser.add_argument("--direction", choices=["forth", "back"], default="forth", help="back: from the new release to the old one")
    parser.add_argument("--again", action="store_true", help="measure what was measured before")
    parser.add_argument("--folder", type=Path, default=SOURCE / "build/bench", help="pairs and results are kept here")
    parser.add_argument("--only-pairs", action="store_true", help="make the pairs, measure nothing")
    arguments = parser.parse_args()
    every = methods()
    names = chosen(arguments.pairs, pairs.NAMES, "pair")
    wanted = chosen(arguments.peers, [method.name for method in every], "method")
    runner = Runner(arguments.folder)
    results: dict[str, dict] = {}
    described = {}
    for name in names:
        try:
            pair = pairs.make(name, arguments.folder)
        except pairs.CannotMake as why:
            raise SystemExit(f"the pair {name} cannot be made: {why}") from None
        described[name] = pairs.describe(pair)
        if arguments.direction == "back":
            pair = pair.back()
        if not arguments.only_pairs:
            results[name] = {m.name: measured(m, pair, arguments.folder, runner, arguments.again) for m in every if m.name in wanted}
    if arguments.only_pairs:
        return
    print(report.text(results))
    whole = arguments.direction == "forth" and names == pairs.NAMES and len(wanted) == len(every)
    out = SOURCE / "build/report" / ("bytes.json" if whole else "bytes-back.json" if arguments.direction == "back" else "bytes-some.json")
    report.write_json(out, results, described, arguments.direction)
    if whole:
        report.write_page(SOURCE / "docs/benchmarks.md", results, described, every)
    print(f"written to {out}" + (" and docs/benchmarks.md" if whole else ""))


if __name__ == "__main__":
    main()
