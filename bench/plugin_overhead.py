#!/usr/bin/env python3
"""What the plugin costs a broker's own traffic: CPU time of Mosquitto for each message, bare and with the plugin, side by side.

Rounds alternate between brokers that run at the same time, so that a busy machine slows both; only ratios are worth reading.
Writes build/report/plugin_overhead.json.
"""

import argparse
import json
import os
import statistics
import struct
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from harness.broker import Broker  # noqa: E402
from harness.mqtt import Mqtt, length, text  # noqa: E402
from harness.process import PLUGIN, SOURCE  # noqa: E402

PAYLOAD = b"x" * 200


def cpu_ns(broker: Broker) -> int:
    """Time on a CPU of the broker's main thread, to the nanosecond, and of the plugin's other threads."""
    return sum(int((task / "schedstat").read_text().split()[0]) for task in Path(f"/proc/{broker.process.pid}/task").iterdir())


def packets(topic: str, qos: int, count: int) -> bytes:
    out = []
    for number in range(count):
        body = text(topic) + (struct.pack(">H", number % 65535 + 1) if qos else b"") + PAYLOAD
        out.append(bytes([0x30 | qos << 1]) + length(len(body)) + body)
    return b"".join(out)


class Load:
    """One way to use a broker."""

    def __init__(self, name: str, topic: str, qos: int, readers: int):
        self.name, self.topic, self.qos, self.readers = name, topic, qos, readers

    def run(self, broker: Broker, count: int) -> float:
        """CPU microseconds a message."""
        listeners = [broker.client(f"reader-{n}") for n in range(self.readers)]
        for listener in listeners:
            listener.subscribe(self.topic, qos=0)
        writer = broker.client("writer")
        block = packets(self.topic, self.qos, 500)
        writer.ping()
        before = cpu_ns(broker)
        for _ in range(count // 500):
            writer.socket.sendall(block)
            for _ in range(500 if self.qos else 0):
                writer.await_kind(4)
            writer.ping()
            for listener in listeners:
                drain(listener, 500)
        spent = cpu_ns(broker) - before
        for client in (writer, *listeners):
            client.disconnect()
        return spent / count / 1000


def drain(listener: Mqtt, count: int) -> None:
    for _ in range(count):
        if listener.await_kind(3) is None:
            raise SystemExit("a message was lost")


LOADS = [Load("QoS 0, nobody listens", "plant/line-a/temperature", 0, 0), Load("QoS 0, one listens", "plant/line-a/temperature", 0, 1),
         Load("QoS 0, five listen", "plant/line-a/temperature", 0, 5), Load("QoS 1, nobody listens", "plant/line-a/temperature", 1, 0)]


def measure(brokers: dict[str, Broker], rounds: int, count: int) -> list[dict]:
    results = []
    for load in LOADS:
        samples: dict[str, list[float]] = {name: [] for name in brokers}
        for name in brokers:
            load.run(brokers[name], 1000)
        for _ in range(rounds):
            for name, broker in brokers.items():
                samples[name].append(load.run(broker, count))
        ratios = [b / a for a, b in zip(samples["bare"], samples["plugin"])]
        results.append({"load": load.name, "bare_us": round(statistics.median(samples["bare"]), 2),
                        "plugin_us": round(statistics.median(samples["plugin"]), 2), "ratio": round(statistics.median(ratios), 3),
                        "ratio_min": round(min(ratios), 3), "ratio_max": round(max(ratios), 3)})
        print(f"{load.name:24} bare {results[-1]['bare_us']:6.2f} µs   plugin {results[-1]['plugin_us']:6.2f} µs   "
              f"ratio {results[-1]['ratio']:.3f}", flush=True)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--messages", type=int, default=20_000, help="a round")
    parser.add_argument("--plugin", type=Path, default=PLUGIN)
    parser.add_argument("--out", type=Path, default=SOURCE / "build/report/plugin_overhead.json")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        options = {"gate_key": "/unused", "root": "/unused"}
        if arguments.plugin == PLUGIN:
            from harness.operator import Keys
            options = Keys(folder / "keys").plugin_options()
        with Broker(folder / "bare", plugin=False, quiet=True) as bare, \
             Broker(folder / "plugin", options=options, plugin_file=arguments.plugin, quiet=True) as loaded:
            idle = {name: broker.memory_kb() for name, broker in (("bare", bare), ("plugin", loaded))}
            results = measure({"bare": bare, "plugin": loaded}, arguments.rounds, arguments.messages)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps({
        "format": 1, "what": "CPU time of Mosquitto for each message of 200 bytes, bare and with the plugin, alternating rounds of one run",
        "rounds": arguments.rounds, "messages": arguments.messages, "cpus": os.cpu_count(), "idle_rss_kb": idle, "loads": results,
    }, indent=2) + "\n")
    print(f"{'memory when idle':24} bare {idle['bare']} KB   plugin {idle['plugin']} KB\nwritten to {arguments.out}")


if __name__ == "__main__":
    main()
