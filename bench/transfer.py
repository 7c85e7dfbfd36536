#!/usr/bin/env python3
"""What it costs to serve a release: CPU time of Mosquitto for each megabyte, through the plugin and by plain routing, side by side.

A device fetches a release over loopback from a broker with the plugin; then the same bytes, in messages of the same size, are routed
from one client to another by a bare broker. Only the ratio is worth reading. Writes build/report/transfer.json.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from harness.broker import Broker  # noqa: E402
from harness.operator import Keys  # noqa: E402
from harness.process import SOURCE, wait_for  # noqa: E402
from harness.site import Site  # noqa: E402

PIECE = 32 * 1024


def cpu_ms(broker: Broker) -> float:
    """Time on a CPU, of all threads of the broker."""
    return sum(int((task / "schedstat").read_text().split()[0]) for task in Path(f"/proc/{broker.process.pid}/task").iterdir()) / 1e6


def serve(site: Site, release: str, size: int) -> dict:
    """One fetch of a release with `size` new bytes."""
    device = site.devices[0]
    tree = site.tree(release, changed_bytes=size)
    site.operator.pack(tree)
    device.stop()
    rollout = site.operator.publish(release, tree)["rollout"]
    before, sent = cpu_ms(site.broker), site.broker.bytes_sent(device.id)
    began = time.monotonic()
    device.start()
    wait_for("the release is fetched", lambda: site.broker.bytes_sent(device.id) - sent >= size, 120, 0.02)
    seconds, spent = time.monotonic() - began, cpu_ms(site.broker) - before
    site.wait_for_counts(rollout, {"committed": 1})
    megabytes = (site.broker.bytes_sent(device.id) - sent) / 1e6
    return {"megabytes": round(megabytes, 2), "cpu_ms_per_mb": spent / megabytes, "mb_per_s": megabytes / seconds}


def route(broker: Broker, size: int) -> float:
    """CPU milliseconds a megabyte to route the same bytes from one client to another."""
    with broker.client("sender") as sender, broker.client("receiver") as receiver:
        receiver.subscribe("bulk", qos=0)
        before = cpu_ms(broker)
        for _ in range(size // PIECE):
            sender.publish("bulk", bytes(PIECE))
            if receiver.await_kind(3) is None:
                raise SystemExit("a message was lost")
        return (cpu_ms(broker) - before) / (size // PIECE * PIECE / 1e6)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--megabytes", type=int, default=40)
    parser.add_argument("--out", type=Path, default=SOURCE / "build/report/transfer.json")
    arguments = parser.parse_args()
    size = arguments.megabytes * 1_000_000
    served, routed = [], []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        with Site(folder / "site", Keys(folder / "keys")) as site, Broker(folder / "bare", plugin=False) as bare:
            site.add_device("bench")
            site.wait_for_counts(site.publish("1.0"), {"committed": 1})
            for number in range(arguments.rounds):
                served.append(serve(site, f"2.{number}", size))
                routed.append(route(bare, size))
                print(f"served {served[-1]['cpu_ms_per_mb']:.2f} ms/MB at {served[-1]['mb_per_s']:.1f} MB/s, routed {routed[-1]:.2f} ms/MB",
                      flush=True)
    ratio = statistics.median(s["cpu_ms_per_mb"] / r for s, r in zip(served, routed))
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps({
        "format": 1, "what": "CPU time of Mosquitto a megabyte: a release served by the plugin, and the same bytes routed by a bare broker",
        "rounds": arguments.rounds, "cpus": os.cpu_count(), "megabytes": [s["megabytes"] for s in served],
        "served_cpu_ms_per_mb": [round(s["cpu_ms_per_mb"], 3) for s in served], "served_mb_per_s": [round(s["mb_per_s"], 1) for s in served],
        "routed_cpu_ms_per_mb": [round(r, 3) for r in routed], "ratio": round(ratio, 3),
    }, indent=2) + "\n")
    print(f"ratio {ratio:.2f}\nwritten to {arguments.out}")


if __name__ == "__main__":
    main()
