#!/usr/bin/python3 -B
"""What an idle device costs, over TLS and without. Merges its figures into build/report/device.json.

Its link in a month: every byte of TCP and IP of the real client, counted on the loopback device of a network namespace. That is what one
keepalive takes, and what the broker's daily message takes (a gate that is signed again). A month is 30 days.

With --memory instead: the memory and the size of the client on each library of MQTT, as it is connected and waits. Programs and libraries
are stripped copies that share no page with what else runs here.
"""

import argparse
import ctypes
import json
import os
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(SOURCE / "tests"))

from footprint import Programs  # noqa: E402
from harness.operator import Keys  # noqa: E402
from harness.process import BUILD, free_port, wait_for  # noqa: E402
from harness.site import Site  # noqa: E402

CLONE_NEWNET = 0x40000000
DAYS, KEEPALIVE_S, GATES_A_DAY = 30, 1200, 1
MEASURED_KEEPALIVE_S, PINGS = 5, 12
LIMIT_ALL, LIMIT_BESIDE = 500_000, 20_000
CLIENTS = {"shared, Paho C++": BUILD / "device-client/instar-device", "shared, Paho C": BUILD / "bench/instar_device_paho_c",
           "static, Paho C": BUILD / "device-client/instar-device-static"}
MEMORY = {"rss_kib": "Rss:", "pss_kib": "Pss:", "private_dirty_kib": "Private_Dirty:"}
MEMORY_RUNS, SETTLED_S = 3, 2


class Sniffer(threading.Thread):
    """Bytes of all IP packets to or from a TCP port, headers counted, each packet once."""

    def __init__(self, port: int):
        super().__init__(daemon=True)
        self.port, self.bytes, self.packets = port, 0, 0
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
        self.socket.bind(("lo", 0))

    def run(self) -> None:
        while True:
            packet, address = self.socket.recvfrom(65536)
            if address[2] != socket.PACKET_OUTGOING or packet[0] >> 4 != 4 or packet[9] != socket.IPPROTO_TCP:
                continue
            length = struct.unpack("!H", packet[2:4])[0]
            ports = struct.unpack("!HH", packet[(packet[0] & 15) * 4:][:4])
            if self.port in ports:
                self.bytes += length
                self.packets += 1


def certificates(folder: Path) -> None:
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30", "-subj",
                    "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", folder / "server.key", "-out", folder / "server.pem"],
                   check=True, capture_output=True)


def measure(folder: Path, keys: Keys, tls: bool) -> dict:
    port = free_port()
    lines = [f"listener {port} 127.0.0.1"] + ([f"certfile {folder}/server.pem", f"keyfile {folder}/server.key"] if tls else [])
    with Site(folder / ("tls" if tls else "plain"), keys, lines=lines, quiet=True) as site:
        # Both sides must be silent otherwise: one device, no operator.
        settings = {"server": f"{'ssl' if tls else 'tcp'}://localhost:{port}", "keepalive_s": MEASURED_KEEPALIVE_S}
        device = site.add_device("idle", settings=settings | ({"ca_file": folder / "server.pem"} if tls else {}))
        rollout = site.publish("1.0")
        site.wait_for_counts(rollout, {"committed": 1}, 60)
        sniffer = Sniffer(port)
        sniffer.start()
        time.sleep(6)
        before = sniffer.bytes
        time.sleep(MEASURED_KEEPALIVE_S * PINGS)
        ping = (sniffer.bytes - before) / PINGS
        # A gate, as the daily one is; what it displaces of a keepalive is not taken off.
        before = sniffer.bytes
        site.operator.ask("rollout", "pause", rollout)
        time.sleep(2)
        gate = sniffer.bytes - before
        assert device.process.pid and gate > 0
    month = DAYS * (86_400 // KEEPALIVE_S) * ping
    beside = DAYS * GATES_A_DAY * gate
    return {"keepalive_s": KEEPALIVE_S, "bytes_a_keepalive": round(ping, 1), "bytes_a_gate": gate, "keepalive_bytes_a_month": round(month),
            "beside_bytes_a_month": beside, "bytes_a_month": round(month + beside)}


def memory_of(pid: int) -> dict:
    lines = {line.split()[0]: line.split()[1] for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]}
    return {name: int(lines[key]) for name, key in MEMORY.items()}


def measure_memory(folder: Path, keys: Keys, program: Path, environment: dict[str, str], tls: bool) -> dict:
    """Medians over clients that have each just connected."""
    port = free_port()
    lines = [f"listener {port} 127.0.0.1"] + ([f"certfile {folder}/server.pem", f"keyfile {folder}/server.key"] if tls else [])
    taken = []
    with Site(folder / f"{program.name}-{'tls' if tls else 'plain'}", keys, lines=lines, quiet=True) as site:
        settings = {"server": f"{'ssl' if tls else 'tcp'}://localhost:{port}"} | ({"ca_file": folder / "server.pem"} if tls else {})
        for number in range(MEMORY_RUNS):
            device = site.add_device(f"box{number}", settings=settings, program=program, start=False).start(environment)
            wait_for(f"{device.id} is known to the broker; its log is {device.process.log}",
                     lambda: device.id in json.dumps(site.operator.ask("devices", "list")), 120)
            time.sleep(SETTLED_S)
            taken.append(memory_of(device.process.pid))
            device.stop()
    return {name: round(statistics.median(row[name] for row in taken)) for name in MEMORY}


def memory(report: dict, folder: Path, keys: Keys) -> None:
    rows = {}
    for number, (name, source) in enumerate(CLIENTS.items()):
        programs = Programs(folder / f"programs{number}")
        program = programs.add(source, "make build")
        sizes = programs.sizes()
        rows[name] = {"program_kib": sizes["program_bytes"] // 1024,
                      "with_libraries_kib": (sizes["program_bytes"] + sizes["library_bytes"]) // 1024}
        for kind in ("plain", "tls"):
            rows[name][kind] = measure_memory(folder, keys, program, programs.environment(), kind == "tls")
    report["idle_memory"] = rows
    columns = [f"{kind} {what}" for kind in ("plain", "TLS") for what in ("RSS", "PSS", "private dirty")]
    print(f"{'KiB':18}{'program':>9}{'with libraries':>16}" + "".join(f"{column:>21}" for column in columns))
    figures = {name: [row["program_kib"], row["with_libraries_kib"], *row["plain"].values(), *row["tls"].values()] for name, row in rows.items()}
    for name, row in figures.items():
        print(f"{name:18}{row[0]:>9,}{row[1]:>16,}" + "".join(f"{value:>21,}" for value in row[2:]))
    first, base, *_ = figures.values()
    ratios = [one / two for one, two in zip(first, base)]
    print(f"{'shared, C++ ÷ C':18}{ratios[0]:>9.2f}{ratios[1]:>16.2f}" + "".join(f"{ratio:>21.2f}" for ratio in ratios[2:]))


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--report", type=Path, default=SOURCE / "build/report/device.json")
    options.add_argument("--memory", action="store_true", help="memory and size by library of MQTT, not bytes of a month")
    chosen = options.parse_args()
    if os.geteuid() != 0 or ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
        print("idle: needs root, for a network namespace and a container", file=sys.stderr)
        return 1
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with tempfile.TemporaryDirectory(prefix="instar-idle.") as scratch:
        folder = Path(scratch)
        certificates(folder)
        keys = Keys(folder / "keys")
        report = json.loads(chosen.report.read_text()) if chosen.report.exists() else {"format": 1}
        if chosen.memory:
            memory(report, folder, keys)
        else:
            report["idle"] = {name: measure(folder, keys, name == "tls") for name in ("tls", "plain")}
    chosen.report.parent.mkdir(parents=True, exist_ok=True)
    chosen.report.write_text(json.dumps(report, indent=2) + "\n")
    if chosen.memory:
        return 0
    idle = report["idle"]
    print(json.dumps(idle, indent=1))
    worst = max(row["bytes_a_month"] for row in idle.values())
    beside = max(row["beside_bytes_a_month"] for row in idle.values())
    for reached, limit, text in ((worst, LIMIT_ALL, "bytes of an idle month in all"), (beside, LIMIT_BESIDE, "bytes of it beside the keepalive")):
        print(f"  {'held   ' if reached <= limit else 'MISSED '} {text}: {reached}, at most {limit} wanted")
    return 0


if __name__ == "__main__":
    sys.exit(main())
