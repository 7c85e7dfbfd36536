#!/usr/bin/python3 -B
"""What an update takes of the test device (64 MB of RAM, 32 MB of flash): memory, bytes written to flash, and how long its service is away.

The real client in User-mode Linux, with and without TLS: installs, then is started again and updates, by delta and by another pack, and goes
back from a bad release. Writes build/report/device.json. Exit code 1 if something did not happen; a target that is missed is said, and no failure.
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(SOURCE / "tests"), str(SOURCE / "deploy/test-device")]

import service  # noqa: E402
from harness import machine as machines  # noqa: E402
from harness.process import BUILD, wait_for  # noqa: E402

# name → text, limit. Those of memory are for the client alone.
TARGETS = {
    "pss_tls_kib": ("peak PSS of the client with TLS, KiB", 8 * 1024),
    "pss_plain_kib": ("peak PSS of the client without TLS, KiB", 6 * 1024),
    "written_ratio": ("bytes that the client wrote, to new content", 1.2),
    "downtime_over_start_ms": ("downtime at a switch beyond the container's own start, median, ms", 150),
    "oom_kills": ("processes that the OOM killer ended", 0),
}
STEPS = [("full", "old", True), ("delta", "new", True), ("no delta", "old", True), ("bad", "new", False)]


def contents(payload: Path) -> dict[bytes, int]:
    """Of the files of a tree, or of an image, which is one file."""
    files = [payload] if payload.is_file() else [p for p in payload.rglob("*") if p.is_file() and not p.is_symlink()]
    return {hashlib.blake2b(p.read_bytes(), digest_size=16).digest(): p.stat().st_size for p in files}


def new_bytes(payload: Path, before: Path | None) -> int:
    """Content of files that the release before does not have."""
    held = contents(before) if before else {}
    return sum(size for content, size in contents(payload).items() if content not in held)


def logged_ms(machine, since: float, words: str) -> int | None:
    """What the client's log says first after `since`: how long LXC itself took to stop or to start the container."""
    for when, text in list(machine.lines):
        if when >= since and (found := re.search(words + r" (\d+) ms", text)):
            return int(found[1])
    return None


class Measure:
    def __init__(self, site, machine, device: Path, folder: Path, payload: str):
        self.site, self.machine, self.device, self.folder, self.payload = site, machine, device, folder, payload
        self.before: Path | None = None

    def settled(self) -> dict:
        """What has been written, once nothing has been for two seconds."""
        wait_for("writing has ended", lambda: time.monotonic() - self.machine.said_at["WRITTEN"] > 2, 30, 0.2)
        return self.machine.said["WRITTEN"]

    def update(self, kind: str, age: str, healthy: bool, label: str) -> dict:
        release = f"{label}-{kind.replace(' ', '-')}"
        tree = service.release_payload(self.device, self.folder, release, age, healthy, self.payload)
        artifact = self.site.operator.pack(tree)
        before, since = self.settled(), time.monotonic()
        rollout = self.site.operator.publish(release, tree, containers=service.containers(artifact),
                                             options=("--no-delta",) if kind == "no delta" else ())["rollout"]
        self.site.wait_for_counts(rollout, {"committed" if healthy else "rolled_back": 1}, 120)
        after = self.settled()
        row = self.site.operator.ask("rollout", "show", rollout, "--devices")["members"][0]
        measured = {"update": kind, "pack": row["pack_kind"], "bytes_fetched": row["bytes_fetched"], "new_bytes": new_bytes(tree, self.before),
                    "client_bytes": after["client_bytes"] - before["client_bytes"], "flash_bytes": after["flash_bytes"] - before["flash_bytes"],
                    "downtime_ms": row["downtime_ms"], "switch_ms": row["switch_ms"], "stop_ms": logged_ms(self.machine, since, "is stopped, in"),
                    "start_ms": logged_ms(self.machine, since, "runs, started in"),
                    **self.machine.said["MEMORY"], "oom_kills": after["oom_kills"]}
        if healthy:
            self.before = tree
        print(json.dumps(measured), flush=True)
        return measured


def measure(device: Path, folder: Path, tls: bool, rounds: int, payload: str) -> list[dict]:
    name = "tls" if tls else "plain"
    flash = folder / f"{name}.img"
    shutil.copy(device / "flash.img", flash)
    rows = []
    with machines.site_for(folder / name, device) as site, machines.Machine(folder / name / "machine", device, flash) as machine:
        work = Measure(site, machine, device, folder / name / "trees", payload)
        for number in range(rounds):
            for kind, age, healthy in STEPS if number == 0 else STEPS[1:]:
                # Each with a client just started: what the peak says is of this update alone.
                machine.cut()
                machine.start(watch=1, tls=int(tls))
                machine.wait_for("WRITTEN", 30)
                if work.before:
                    machine.wait_for("CHECK", 60)
                wait_for("the client is connected", lambda: machine.logged("connected to", 0), 30)
                idle = machine.said["MEMORY"]["pss_kb"]
                rows.append(work.update(kind, age, healthy, f"{name}{number}") | {"tls": tls, "idle_pss_kb": idle, "boot_ms": machine.said["DISK"]["first_ms"]})
    return rows


def summary(rows: list[dict]) -> dict:
    updates = [row for row in rows if row["update"] in ("delta", "no delta")]
    # A rollback reports the way back; the switch to it is not in its downtime.
    over = [row["downtime_ms"] - row["start_ms"] for row in updates if row["start_ms"] is not None]
    return {
        "pss_tls_kib": max(row["pss_kb"] for row in rows if row["tls"]),
        "pss_plain_kib": max(row["pss_kb"] for row in rows if not row["tls"]),
        "written_ratio": round(max(row["client_bytes"] / row["new_bytes"] for row in updates), 3),
        "downtime_over_start_ms": statistics.median(over) if over else None,
        "oom_kills": max(row["oom_kills"] for row in rows),
    }


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--device", type=Path, default=SOURCE / "build/test-device")
    options.add_argument("--report", type=Path, default=SOURCE / "build/report/device.json")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--payload", choices=service.PAYLOADS, default="tree", help="what its container runs from: a tree, or an image of it")
    options.add_argument("--client", default="instar-device-static", help="see deploy/test-device/build")
    options.add_argument("--keep", action="store_true")
    chosen = options.parse_args()
    if not machines.KERNEL.exists() or os.geteuid() != 0:
        print("bench-device: needs root and user-mode-linux; `deploy/install-deps device` installs it", file=sys.stderr)
        return 1
    device = chosen.device.resolve()
    sizes = machines.build_device(BUILD, device, "--client", chosen.client)
    machines.enter_own_network()
    folder = Path(tempfile.mkdtemp(prefix="instar-bench-device."))
    device = machines.copy_device(device, folder / "device")
    rows = measure(device, folder, True, chosen.rounds, chosen.payload) + measure(device, folder, False, chosen.rounds, chosen.payload)
    reached = summary(rows)
    promises = [{"text": f"{text}: {reached[name]}, at most {limit} wanted", "holds": None if reached[name] is None else reached[name] <= limit}
                for name, (text, limit) in TARGETS.items()]
    chosen.report.parent.mkdir(parents=True, exist_ok=True)
    chosen.report.write_text(json.dumps({"format": 1, "payload": chosen.payload, "sizes": sizes, "summary": reached, "promises": promises, "updates": rows}, indent=2) + "\n")
    for promise in promises:
        print(("  held    " if promise["holds"] else "  MISSED  ") + promise["text"])
    if not chosen.keep:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        print(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
