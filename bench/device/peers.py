#!/usr/bin/python3 -B
"""What an update takes of a device: Instar beside casync, OSTree, SWUpdate, RAUC and Mender's client, as Debian packages them.

All bring the same tree to a device that holds the same older one: those of the test device, lighttpd with Debian's C library before and after
its security updates. Each runs on this machine, as root, in a box of its own (box.py), from stripped copies of its programs, and what it made
is held against the new tree. Each is then killed half-way over a link of 2 Mbit/s and started again. Prints a table; adds `peers` to
build/report/device.json. Exit code 1 if one did not run that should, or nothing was measured.
"""

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(SOURCE / folder) for folder in ("tests", "bench/bytes", "bench/device", "deploy/test-device")]

import pairs  # noqa: E402
import service  # noqa: E402
from box import SERVER, Box, Cut, Failed, Network, Taken  # noqa: E402
from footprint import Missing, Programs  # noqa: E402
from instar_update import Instar  # noqa: E402
from mender import MenderModule, MenderRootfs  # noqa: E402
from slots import RaucCasync, RaucPlain, RaucStreaming, SwupdateArchive, SwupdateDelta, SwupdateRdiff  # noqa: E402
from updater import Casync, Job, OstreeFile, OstreePull, Updater  # noqa: E402
from webserver import WebServer  # noqa: E402

DATA_BYTES = 32 << 20
SLOW = "2mbit"


def updaters() -> list[Updater]:
    return [Instar(tls=False), Instar(tls=True), Casync(), OstreePull(), OstreeFile(), SwupdateArchive(), SwupdateDelta(), SwupdateRdiff(),
            RaucPlain(), RaucCasync(), RaucStreaming(), MenderModule(), MenderRootfs()]


def expect_tree(made: Path, wanted: Path) -> None:
    found, expected = pairs.content(made), pairs.content(wanted)
    if differ := sorted(path for path in found.keys() | expected.keys() if found.get(path) != expected.get(path)):
        raise Failed(f"made another tree: {len(differ)} files differ, {differ[:3]}")


class Bench:
    """One updater: what it needs is made once, each measurement has a box of its own."""

    def __init__(self, updater: Updater, folder: Path, network: Network, old: Path, new: Path):
        self.updater, self.folder, self.network = updater, folder, network
        self.old, self.new = old, new
        self.boxes = 0

    def measure(self, rounds: int, cut: bool) -> dict:
        """Its row. Throws Failed or Missing."""
        updater = self.updater
        for name in ("web", "work"):
            (self.folder / name).mkdir(parents=True)
        programs = Programs(self.folder / "programs")
        updater.install(programs)
        with WebServer(self.folder / "web", SERVER) as web:
            job = Job(self.old, self.new, self.folder / "web", web.url, self.folder / "work", programs)
            updater.serve(job)
            row = {"name": updater.name, "version": updater.version(), "what": updater.what, "commands": updater.commands,
                   **programs.sizes(), "room": updater.room, "reboot": updater.reboot, "checks": updater.checks, "idle_pss_kib": self._idle(job)}
            taken = [self._whole(job) for _ in range(rounds)]
            row |= summary([found for found, _ in taken]) | taken[-1][1] | {"rounds": [asdict(found) for found, _ in taken]}
            if cut:
                row["cut"] = self._cut(job)
        return row

    def _box(self) -> Box:
        self.boxes += 1
        return Box(self.folder / f"box-{self.boxes}", self.network, DATA_BYTES)

    def _idle(self, job: Job) -> int | None:
        with self._box() as box:
            try:
                self.updater.provision(job, box)
                return self.updater.idle_pss_kib(job, box)
            finally:
                self.updater.close(box)

    def _whole(self, job: Job) -> tuple[Taken, dict]:
        with self._box() as box:
            try:
                self.updater.provision(job, box)
                box.begin()
                self.updater.update(job, box)
                taken = box.end()
                expect_tree(self.updater.result(job, box), job.new)
                return taken, self.updater.more(box)
            finally:
                self.updater.close(box)

    def _cut(self, job: Job) -> dict:
        """Over the slow link: the whole, and what it takes when it is killed half-way and asked again."""
        self.network.limit(SLOW)
        try:
            whole = self._whole(job)[0].received_bytes
            with self._box() as box:
                try:
                    return {"whole_bytes": whole} | self._killed(job, box, whole // 2)
                finally:
                    self.updater.close(box)
        finally:
            self.network.limit(None)

    def _killed(self, job: Job, box: Box, after_bytes: int) -> dict:
        self.updater.provision(job, box)
        box.cut_after(after_bytes)
        box.begin()
        try:
            self.updater.update(job, box)
            box.end()
            return {"not_cut": "it had ended before"}
        except Cut:
            first = box.end()
        box.after_cut()
        box.begin()
        try:
            self.updater.update(job, box)
        except Failed as why:
            box.end()
            return {"first_bytes": first.received_bytes, "not_resumed": str(why)}
        second = box.end()
        expect_tree(self.updater.result(job, box), job.new)
        return {"first_bytes": first.received_bytes, "second_bytes": second.received_bytes} | self.updater.more(box)


def summary(rounds: list[Taken]) -> dict:
    """The median of each figure; of bytes on the wire the range as well."""
    row = {key: statistics.median(getattr(taken, key) for taken in rounds)
           for key in ("received_bytes", "sent_bytes", "written_bytes", "space_bytes", "peak_pss_kib", "peak_private_dirty_kib", "largest_pss_kib",
                       "seconds")}
    return {key: int(value) if key != "seconds" else value for key, value in row.items()} | {
        "received_range": [min(taken.received_bytes for taken in rounds), max(taken.received_bytes for taken in rounds)],
        "samples": min(taken.samples for taken in rounds)}


def attempt(bench: Bench, rounds: int, cut: bool) -> dict:
    """A row in any case: with figures, or with what went wrong."""
    updater = bench.updater
    try:
        row = bench.measure(rounds, cut)
        return row | ({"surprise": f"it was not to run here: {updater.not_here}"} if updater.not_here else {})
    except (Failed, Missing, AssertionError, OSError) as why:
        row = {"name": updater.name, "what": updater.what, "room": updater.room, "reboot": updater.reboot, "checks": updater.checks,
               "failed": " ".join(str(why).split())}
        return row | ({"not_here": updater.not_here} if updater.not_here else {})


def faults(rows: list[dict]) -> list[str]:
    """What makes the run a failure; nothing measured is one too."""
    bad = [f"{row['name']}: {row['failed']}" for row in rows if "failed" in row and "not_here" not in row]
    if not any("received_bytes" in row for row in rows):
        bad.append("nothing was measured")
    bad += [f"{row['name']}: memory was read {row['samples']} times in all: too few to tell a peak" for row in rows
            if "samples" in row and row["samples"] < 5]
    return bad


# Of KB: the program; with all that it loads beyond the C library; memory of all its processes together, and of the largest; on the wire both
# ways; what reached the disks; what it needed of them at the highest, a second slot counted; what came again after the kill.
COLUMNS = ["KB", "program", "with libraries", "idle PSS", "peak PSS", "largest process", "private dirty", "wire", "written", "written ÷ new",
           "more disk", "again after a kill"]
COMPARED = {"with libraries": lambda row: row["program_bytes"] + row["library_bytes"], "peak PSS": lambda row: row["peak_pss_kib"],
            "private dirty": lambda row: row["peak_private_dirty_kib"], "wire": lambda row: row["received_bytes"] + row["sent_bytes"],
            "written": lambda row: row["written_bytes"]}


def cells(row: dict, new_bytes: int) -> list[str]:
    def kb(value: int | None) -> str:
        return "–" if value is None else f"{value / 1024:,.0f}"

    if "failed" in row:
        return [row["name"], "did not run: " + (row.get("not_here") or row["failed"])]
    return [row["name"], kb(row["program_bytes"]), kb(row["program_bytes"] + row["library_bytes"]),
            "–" if row["idle_pss_kib"] is None else f"{row['idle_pss_kib']:,}", f"{row['peak_pss_kib']:,}",
            f"{row['largest_pss_kib']:,}", f"{row['peak_private_dirty_kib']:,}",
            kb(row["received_bytes"] + row["sent_bytes"]), kb(row["written_bytes"]), f"{row['written_bytes'] / new_bytes:.2f}",
            kb(row["space_bytes"]), after_kill(row)]


def after_kill(row: dict) -> str:
    """What the device received more than without the kill, in KB. Less comes where the whole had brought things twice: 0."""
    cut = row.get("cut") or {}
    if "second_bytes" in cut:
        return f"{max(0, cut['first_bytes'] + cut['second_bytes'] - cut['whole_bytes']) / 1024:,.0f}"
    return "fails" if "not_resumed" in cut else "–"


def table(rows: list[dict], new_bytes: int) -> str:
    """Markdown; KB of 1024 bytes."""
    lines = ["| " + " | ".join(COLUMNS) + " |", "|---|" + "---:|" * (len(COLUMNS) - 1)]
    for row in rows:
        found = cells(row, new_bytes)
        lines.append("| " + " | ".join(found + [""] * (len(COLUMNS) - len(found))) + " |")
    return "\n".join(lines)


def ratios(rows: list[dict]) -> dict[str, dict[str, float]]:
    """Each peer's figures over those of Instar without TLS, as the peers run."""
    ours = next((row for row in rows if row["name"] == "instar" and "failed" not in row), None)
    if not ours:
        return {}
    return {row["name"]: {what: round(of(row) / of(ours), 2) for what, of in COMPARED.items()} for row in rows if "failed" not in row}


def ratios_table(rows: list[dict]) -> str:
    lines = ["| ÷ instar | " + " | ".join(COMPARED) + " |", "|---|" + "---:|" * len(COMPARED)]
    return "\n".join(lines + [f"| {name} | " + " | ".join(f"{value:.1f}" for value in found.values()) + " |" for name, found in ratios(rows).items()])


def nature_table(rows: list[dict]) -> str:
    """What is no figure."""
    lines = ["| | what is done | needs of the disk besides the old release | reboot | what the device checks |", "|---|---|---|---|---|"]
    return "\n".join(lines + [f"| {row['name']} | {row['what']} | {row.get('room', '')} | {row.get('reboot', '')} | {row.get('checks', '')} |" for row in rows])


def new_bytes_of(old: Path, new: Path) -> int:
    """Content of files that the old tree does not have."""
    held = set(pairs.content(old).values())
    return sum(size for size, text in pairs.content(new).values() if (size, text) not in held)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--device", type=Path, default=SOURCE / "build/test-device", help="packages of the two trees are kept here")
    options.add_argument("--report", type=Path, default=SOURCE / "build/report/device.json")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--only", help="names by semicolons")
    options.add_argument("--no-cut", action="store_true", help="leave off the kill half-way")
    options.add_argument("--keep", action="store_true")
    chosen = options.parse_args()
    every = updaters()
    names = [name.strip() for name in chosen.only.split(";")] if chosen.only else [updater.name for updater in every]
    if lost := [name for name in names if name not in {updater.name for updater in every}]:
        print(f"peers: nothing is named {lost}: choose from {'; '.join(updater.name for updater in every)}", file=sys.stderr)
        return 2
    if os.geteuid() != 0:
        print("peers: needs root, for loop devices, a network of its own and containers", file=sys.stderr)
        return 1
    folder = Path(tempfile.mkdtemp(prefix="instar-peers."))
    old, new = (service.release_tree(chosen.device.resolve(), folder / "trees", release, age) for release, age in (("1.0", "old"), ("2.0", "new")))
    for tree in (old, new):
        pairs.settle(tree)
    network = Network()
    rows = []
    try:
        for number, updater in enumerate(updater for updater in every if updater.name in names):
            print(f"peers: {updater.name}", file=sys.stderr, flush=True)
            rows.append(attempt(Bench(updater, folder / str(number), network, old, new), chosen.rounds, not chosen.no_cut))
            if "failed" in rows[-1]:
                print(f"peers: {updater.name} did not run: {rows[-1]['failed']}", file=sys.stderr, flush=True)
    finally:
        network.close()
    new_bytes = new_bytes_of(old, new)
    report = json.loads(chosen.report.read_text()) if chosen.report.exists() else {"format": 1}
    report["peers"] = {"tree_bytes": sum(size for size, _ in pairs.content(new).values()), "new_bytes": new_bytes, "slow_link": SLOW, "rows": rows,
                       "ratios_to_instar": ratios(rows)}
    chosen.report.parent.mkdir(parents=True, exist_ok=True)
    chosen.report.write_text(json.dumps(report, indent=2) + "\n")
    print("\n\n".join([table(rows, new_bytes), ratios_table(rows), nature_table(rows)]))
    bad = faults(rows)
    for line in bad:
        print(f"peers: FAILED {line}", file=sys.stderr)
    if chosen.keep:
        print(folder)
    else:
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
