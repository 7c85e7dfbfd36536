#!/usr/bin/python3 -B
"""What an idle device costs its link in a month: the real client over TLS and without, every byte of TCP and IP counted.

Counted on the loopback device of a network namespace: what one keepalive takes, and what the broker's daily word takes (a gate signed anew).
A month is 30 days. Merges its figures into build/report/device.json.
"""

import argparse
import ctypes
import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(SOURCE / "tests"))

from harness.operator import Keys  # noqa: E402
from harness.process import free_port  # noqa: E402
from harness.site import Site  # noqa: E402

CLONE_NEWNET = 0x40000000
DAYS, KEEPALIVE_S, GATES_A_DAY = 30, 1200, 1
MEASURED_KEEPALIVE_S, PINGS = 5, 12
LIMIT_ALL, LIMIT_BESIDE = 500_000, 20_000


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


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--report", type=Path, default=SOURCE / "build/report/device.json")
    chosen = options.parse_args()
    if os.geteuid() != 0 or ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
        print("idle: needs root, for a network namespace and a container", file=sys.stderr)
        return 1
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with tempfile.TemporaryDirectory(prefix="instar-idle.") as scratch:
        folder = Path(scratch)
        certificates(folder)
        keys = Keys(folder / "keys")
        idle = {name: measure(folder, keys, name == "tls") for name in ("tls", "plain")}
    report = json.loads(chosen.report.read_text()) if chosen.report.exists() else {"format": 1}
    report["idle"] = idle
    chosen.report.parent.mkdir(parents=True, exist_ok=True)
    chosen.report.write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(idle, indent=1))
    worst = max(row["bytes_a_month"] for row in idle.values())
    beside = max(row["beside_bytes_a_month"] for row in idle.values())
    for reached, limit, text in ((worst, LIMIT_ALL, "bytes of an idle month in all"), (beside, LIMIT_BESIDE, "bytes of it beside the keepalive")):
        print(f"  {'held   ' if reached <= limit else 'MISSED '} {text}: {reached}, at most {limit} wanted")
    return 0


if __name__ == "__main__":
    sys.exit(main())
