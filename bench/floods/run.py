#!/usr/bin/env python3
"""What a flood costs everybody else: each kind by 1 and by 50 clients, beside a good device, an operator, and neighbours on topics of their own.

Each flood runs twice on a broker with the plugin: on Instar's topics, and the same bytes on plain ones, which is what Mosquitto itself makes of
it. Prints one table and writes build/report/floods.json. `--made-up 200000`: so many devices that one login makes up, beside the same three.
"""

import argparse
import json
import math
import multiprocessing
import struct
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

from harness import forge  # noqa: E402
from harness.broker import Broker  # noqa: E402
from harness.fleet import FLEET  # noqa: E402
from harness.floods import KINDS, Flood, hello, packet, packets, plain_packets  # noqa: E402
from harness.mqtt import Closed, Mqtt  # noqa: E402
from harness.operator import Keys  # noqa: E402
from harness.paper_device import PaperDevice  # noqa: E402
from harness.process import HANGS_S, SOURCE  # noqa: E402
from harness.site import Site  # noqa: E402

OPERATOR = ("--username", "alice")
processes = multiprocessing.get_context("fork")
REPORTS_MAX = 400  # of the good device in one flood
RESEND_S = 10  # as a device does that no ack came to
NAME_MARK = "made-up-0000000"


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[max(0, math.ceil(len(values) * share) - 1)] if values else math.inf


class Clock(threading.Thread):
    """Asks again and again how long something takes, until it is stopped; a question that is open then counts as it stands."""

    def __init__(self, ask, pause_s: float, most: int = 1_000_000):
        super().__init__()
        self.ask, self.pause_s, self.most = ask, pause_s, most
        self.seconds: list[float] = []
        self.stopping = threading.Event()

    def run(self) -> None:
        while not self.stopping.wait(self.pause_s) and len(self.seconds) < self.most:
            began = time.monotonic()
            self.ask(self.stopping)
            self.seconds.append(time.monotonic() - began)

    def stop(self) -> list[float]:
        self.stopping.set()
        self.join()
        return self.seconds


def ack_of(payload: bytes) -> tuple[int, int]:
    """(sequence, code) of an ack, read in place."""
    root, = struct.unpack_from("<I", payload)
    table = root - struct.unpack_from("<i", payload, root)[0]
    size = struct.unpack_from("<H", payload, table)[0]

    def field(number: int, form: str) -> int:
        at = 4 + 2 * number
        offset = struct.unpack_from("<H", payload, table + at)[0] if at < size else 0
        return struct.unpack_from(form, payload, root + offset)[0] if offset else 0

    return field(0, "<Q"), field(1, "<H")


def flood_clients(broker: Broker, plans: list[tuple[str, list[bytes]]], connected, begin, end, sent) -> None:
    """Of a process of its own, so that the clocks are not held up by it: connects all, and floods until it is stopped."""
    floods = [Flood(broker, client_id, messages, username="evil") for client_id, messages in plans]
    connected.set()
    begin.wait()
    with ExitStack() as stack:
        for one in floods:
            stack.enter_context(one)
        while not end.wait(0.1):
            sent.value = sum(one.sent for one in floods)


class GoodDevice:
    """Sends one report after the other, each made before the flood; one that no ack came to is sent again."""

    def __init__(self, broker: Broker):
        self.paper = PaperDevice(broker, "good-1")
        self.paper.hello()
        self.reports: list[bytes] = []
        self.next = 0

    def prepare(self, manifest: bytes, count: int) -> None:
        says = {"device": self.paper.id, "rollout": forge.hash_value(manifest), "attempt": 1, "step": "fetching"}
        self.reports = [forge.seal(forge.REPORT, forge.flat("report", says | {"sequence": number}), self.paper.key)
                        for number in range(1, count + 1)]

    def report(self, stopping: threading.Event) -> None:
        sequence, self.next = self.next + 1, self.next + 1
        client = self.paper.client
        while not stopping.is_set():
            client.publish(f"{self.paper.prefix}/report", self.reports[sequence - 1], qos=1, await_ack=False)
            until = time.monotonic() + RESEND_S
            while (left := until - time.monotonic()) > 0:
                message = client.next_message(left)
                if message is not None and message.topic.endswith("/ack") and ack_of(message.payload)[0] >= sequence:
                    return


class Operator:
    """Asks for the list of rollouts over a connection that stays."""

    def __init__(self, broker: Broker):
        self.client: Mqtt = broker.client("op-bench", username="alice")
        self.client.subscribe("$CONTROL/instar/v1/response")
        self.asked = 0

    def list(self, stopping: threading.Event) -> None:
        self.asked += 1
        name = f"bench-{self.asked}"
        self.client.publish("$CONTROL/instar/v1", json.dumps({"commands": [{"command": "listRollouts", "correlationData": name}]}), qos=1,
                            await_ack=False)
        while not stopping.is_set():
            message = self.client.next_message(1)
            if message is not None and name.encode() in message.payload:
                return


def neighbours(port: int, seconds: float) -> subprocess.Popen:
    """20 connections that send messages to themselves on topics of their own, 500 a second together."""
    return subprocess.Popen([str(FLEET), "--port", str(port), "--timeout", str(HANGS_S), "latency", "--seconds", str(seconds), "--rate", "500"],
                            stdout=subprocess.PIPE, text=True)


class Beside:
    """Who uses the broker beside the flood, and what they see while the block lasts."""

    def __init__(self, site: Site, seconds: float):
        self.site, self.seconds = site, seconds
        self.good, self.operator = GoodDevice(site.broker), Operator(site.broker)
        rollout = site.publish("1.0", options=OPERATOR)
        manifest = site.operator.ask("rollout", "show", rollout, *OPERATOR)["manifest"]
        self.good.prepare(bytes.fromhex(manifest), REPORTS_MAX)

    def measure(self, is_over=lambda: True, report_pause_s: float = 0.05) -> dict:
        """For the time that was given, or until `is_over` where that comes later."""
        broker = self.site.broker
        reports, lists = Clock(self.good.report, report_pause_s, REPORTS_MAX - self.good.next), Clock(self.operator.list, 0.2)
        clock = neighbours(broker.port, self.seconds)
        for thread in (reports, lists):
            thread.start()
        until, peak = time.monotonic() + self.seconds, broker.memory_kb()
        while time.monotonic() < until or not is_over():
            peak = max(peak, broker.memory_kb())
            time.sleep(0.02)
        reported, listed = reports.stop(), lists.stop()
        out, _ = clock.communicate(timeout=2 * HANGS_S)
        seen = json.loads(out) if clock.returncode == 0 else {}
        return {"peak_kb": peak, "reports": len(reported), "report_p99_s": percentile(reported, 0.99), "lists": len(listed),
                "list_p99_s": percentile(listed, 0.99), "list_most_s": max(listed, default=math.inf),
                "neighbours_p99_ms": seen.get("p99_ms", math.inf)}


def flood(folder: Path, keys: Keys, kind: str, clients: int, seconds: float, plain: bool) -> dict:
    with Site(folder, keys, quiet=True, options={"transfer_log": "", "operators": "alice"} if kind == "commands" else {"transfer_log": ""}) as site:
        beside = Beside(site, seconds)
        flooders = [PaperDevice(site.broker, f"flooder-{number}", group="evil/x", product="toaster", username="evil") for number in range(clients)]
        for flooder in flooders:
            flooder.hello()
            flooder.client.close()
        plans = [(flooder.id, (plain_packets if plain else packets)(KINDS[kind](flooder))) for flooder in flooders]
        connected, begin, end, sent = processes.Event(), processes.Event(), processes.Event(), processes.Value("Q", 0)
        child = processes.Process(target=flood_clients, args=(site.broker, plans, connected, begin, end, sent))
        child.start()
        assert connected.wait(HANGS_S)
        idle = site.broker.memory_kb()
        begin.set()
        row = beside.measure()
        row["messages_per_second"] = sent.value / seconds
        end.set()
        child.join()
        return {"kind": kind, "clients": clients, "plain": plain, "idle_kb": idle,
                "memory_mb": (max(row["peak_kb"], site.broker.memory_kb()) - idle) / 1024} | row


def floods_table(rows: list[dict]) -> str:
    lines = ["| flood | clients | messages a second | memory above idle, MB | report acked, p99, s | operator's list, p99, s "
             "| neighbours, p99, ms | the same on plain topics, p99, ms | ratio |", "|---|---|---|---|---|---|---|---|---|"]
    plain = {(row["kind"], row["clients"]): row["neighbours_p99_ms"] for row in rows if row["plain"]}
    for row in rows:
        if row["plain"]:
            continue
        bare = plain.get((row["kind"], row["clients"]), math.nan)
        lines.append(f"| {row['kind'].replace('_', ' ')} | {row['clients']} | {row['messages_per_second']:,.0f} | {row['memory_mb']:.1f} "
                     f"| {row['report_p99_s']:.2f} | {row['list_p99_s']:.2f} | {row['neighbours_p99_ms']:.1f} | {bare:.1f} "
                     f"| {row['neighbours_p99_ms'] / bare:.2f} |")
    return "\n".join(lines)


# --- devices that one login makes up -------------------------------------------------------------------------------
def say_hellos(broker: Broker, count: int, said: list[int]) -> None:
    """One connection and one good hello for each of them, all with one key and one login."""
    class Named:
        id, key, product, group = NAME_MARK, forge.Key.random(), "toaster", "evil/x"

    made = forge.payload_of(hello(Named, 1))
    assert made.count(NAME_MARK.encode()) == 1
    for number in range(count):
        name = f"made-up-{number:07}"
        payload = forge.seal(forge.HELLO, made.replace(NAME_MARK.encode(), name.encode()), Named.key)
        try:
            with broker.client(name, username="evil") as client:
                client.socket.sendall(packet(f"instar/v1/d/{name}/hello", payload))
                client.ping()  # it is in the plugin's hands
                client.disconnect()
            said[0] += 1
        except (OSError, Closed):
            continue


def made_up(folder: Path, keys: Keys, count: int) -> dict:
    with Site(folder, keys, quiet=True, options={"transfer_log": ""}) as site:
        beside = Beside(site, 30)
        idle, began, said = site.broker.memory_kb(), time.monotonic(), [0]
        sender = threading.Thread(target=say_hellos, args=(site.broker, count, said))
        sender.start()
        row = beside.measure(lambda: not sender.is_alive(), report_pause_s=1)
        seconds = time.monotonic() - began
        known = site.operator.ask("devices", "list", "--unknown", *OPERATOR)["devices"]
        store = sum(path.stat().st_size for path in (site.folder / "broker/store").rglob("*") if path.is_file())
        return {"hellos": said[0], "seconds": seconds, "known": sum(device["login"] == "evil" for device in known),
                "memory_mb": (row["peak_kb"] - idle) / 1024, "store_mb": store / 1e6} | row


def made_up_table(row: dict) -> str:
    return "\n".join(["| hellos of made-up devices | known of that login | memory above idle, MB | store, MB | report acked, p99, s "
                      "| operator's list, p99, s |",
                      "|---|---|---|---|---|---|",
                      f"| {row['hellos']:,} in {row['seconds']:.0f} s | {row['known']:,} | {row['memory_mb']:.1f} | {row['store_mb']:.1f} "
                      f"| {row['report_p99_s']:.2f} | {row['list_p99_s']:.2f} |"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20, help="of each flood")
    parser.add_argument("--clients", default="1,50")
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--made-up", type=int, default=0, help="instead of floods: so many devices of one login, such as 200000")
    arguments = parser.parse_args()
    report = SOURCE / "build/report/floods.json"
    report.parent.mkdir(parents=True, exist_ok=True)
    results = json.loads(report.read_text()) if report.exists() else {}
    with tempfile.TemporaryDirectory(prefix="instar-floods-") as scratch:
        folder = Path(scratch)
        keys = Keys(folder / "keys")
        if arguments.made_up:
            results["made_up"] = made_up(folder / "made-up", keys, arguments.made_up)
            print(made_up_table(results["made_up"]))
        else:
            results["floods"] = []
            for kind in arguments.kinds.split(","):
                for clients in map(int, arguments.clients.split(",")):
                    for plain in (True, False):
                        at = folder / f"{kind}-{clients}-{'plain' if plain else 'instar'}"
                        results["floods"].append(flood(at, keys, kind, clients, arguments.seconds, plain))
                        print(json.dumps(results["floods"][-1]), file=sys.stderr, flush=True)
            print(floods_table(results["floods"]))
    report.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
