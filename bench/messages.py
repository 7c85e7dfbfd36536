#!/usr/bin/env python3
"""How large the messages are that each device of a fleet receives, and its reports, with one signature: of a real release on a real broker,
beside what is aimed at.

Two devices run different releases, and one comes with a delta for each of them. Writes build/report/messages.json.
"""

import json
import re
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from harness import forge  # noqa: E402
from harness.mqtt import Mqtt  # noqa: E402
from harness.operator import Keys  # noqa: E402
from harness.process import SOURCE, wait_for  # noqa: E402
from harness.site import Site  # noqa: E402

AIMED_AT = {"manifest": 1_024, "gate": 256, "report": 256}


def kind_of(topic: str) -> str:
    return topic.split("/")[2]


def delta_count(manifest: bytes) -> int:
    (artifact,) = forge.unflat("manifest", forge.payload_of(manifest))["artifacts"]
    return sum(pack.get("kind") == "delta" for pack in artifact["packs"])


def messages_of_a_release(site: Site, listener: Mqtt) -> dict[str, list[bytes]]:
    """By kind: what was published while a release with two deltas went to two devices."""
    first, second = site.add_device("first"), site.add_device("second")
    site.wait_for_counts(site.publish("1.0", noise_bytes=600_000), {"committed": 2})
    second.stop()
    wait_for("the second device is away", lambda: not site.operator.device(second.id)["online"])
    rollout = site.publish("2.0", noise_bytes=600_000, changed_bytes=20_000)
    site.wait_for_counts(rollout, {"committed": 1, "waiting": 1})
    listener.drain()
    rollout = site.publish("3.0", noise_bytes=600_000, changed_bytes=40_000)
    second.start()
    site.wait_for_counts(rollout, {"committed": 2})
    first.stop()
    found: dict[str, list[bytes]] = {}
    for message in listener.drain():
        found.setdefault(kind_of(message.topic), []).append(message.payload)
    return found


def reports(site: Site) -> list[int]:
    """The sizes of those that the devices have sent, as the broker's log has them: nobody but the plugin reads them."""
    return [int(size) for size in re.findall(r"Received PUBLISH from .*/report'.*\((\d+) bytes\)", site.broker.log_text())]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        keys = Keys(Path(folder) / "keys")
        with Site(Path(folder) / "site", keys) as site, site.broker.client("listener") as listener:
            listener.subscribe("instar/v1/manifest/#", "instar/v1/gate/#")
            found = messages_of_a_release(site, listener)
            sizes = {kind: [len(message) for message in sent] for kind, sent in found.items()} | {"report": reports(site)}
    if delta_count(found["manifest"][-1]) != 2:
        raise SystemExit("the release has not the two deltas that this is about")
    rows = {kind: {"largest": max(found), "median": sorted(found)[len(found) // 2], "aimed_at": AIMED_AT[kind]} for kind, found in sorted(sizes.items())}
    for kind, row in rows.items():
        print(f"{kind:10} {row['largest']:6,} bytes at most, {row['median']:6,} in the middle, aimed at {row['aimed_at']:6,}")
    report = SOURCE / "build/report/messages.json"
    report.parent.mkdir(parents=True, exist_ok=True)
    report.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
