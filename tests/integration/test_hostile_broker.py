"""A broker in bad hands sends a device more than it takes: the connection ends before the packet is in memory, and the device goes on."""

import socket
import ssl
import subprocess
import threading
from pathlib import Path

import pytest
from harness.device import Device
from harness.process import HANGS_S, INSTAR, wait_for

PACKET = 100_000_000
# What the client's memory may grow by: connections, TLS, allocator slack. A packet that is let in takes 100 MB.
SLACK_KB = 8 * 1024


def header(kind: int, rest: int) -> bytes:
    out = bytearray([kind])
    while True:
        out.append(rest % 128 | (128 if rest >= 128 else 0))
        rest //= 128
        if rest == 0:
            return bytes(out)


class HostileBroker:
    """Takes every client, and answers its subscriptions with one large message."""

    def __init__(self, packet: int, tls: ssl.SSLContext | None = None):
        self.packet, self.tls = packet, tls
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.offered = 0  # clients that the message was begun for
        self.taken = 0  # bytes of it that left, of the last client
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            try:
                self.serve_one(client)
            except (OSError, AssertionError):
                continue
            finally:
                client.close()

    def serve_one(self, client: socket.socket) -> None:
        client.settimeout(HANGS_S)
        if self.tls is not None:
            client = self.tls.wrap_socket(client, server_side=True)
        assert client.recv(4096)[:1] == b"\x10", "no CONNECT"
        client.sendall(b"\x20\x02\x00\x00")
        assert client.recv(4096), "gone"
        self.offered += 1
        self.taken = 0
        client.sendall(header(0x30, self.packet) + b"\x00\x01a")
        block = bytes(64 * 1024)
        for _ in range(self.packet // len(block)):
            client.sendall(block)
            self.taken += len(block)
        client.recv(1)

    def close(self) -> None:
        self.listener.close()


def peak_kb(pid: int) -> int:
    return next(int(line.split()[1]) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM:"))


def certificate(folder: Path) -> tuple[Path, ssl.SSLContext]:
    pem, key = folder / "broker.pem", folder / "broker.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", pem, "-days", "30", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, key)
    return pem, context


@pytest.mark.parametrize("scheme", ["tcp", "ssl"])
def test_a_packet_over_the_bound_ends_the_connection_and_not_the_device(tmp_path, keys, name, scheme):
    ca, tls = certificate(tmp_path) if scheme == "ssl" else (None, None)
    broker = HostileBroker(PACKET, tls)
    settings = {"server": f"{scheme}://127.0.0.1:{broker.port}"} | ({"ca_file": ca} if ca else {})
    try:
        with Device(tmp_path / "device", name, broker.port, keys.root, settings=settings) as device:
            wait_for("the device has refused the packet", lambda: f"a packet of {PACKET} bytes" in device.log_text())
            before = peak_kb(device.process.pid)
            wait_for("it comes back, and refuses again", lambda: broker.offered >= 4)
            assert device.log_text().count(f"a packet of {PACKET} bytes") >= 2, device.log_text()
            after = peak_kb(device.process.pid)
            assert after < before + SLACK_KB, f"{before} kB, then {after} kB"
            assert after < PACKET // 1024, f"{after} kB: the packet was in memory"
            device.wait_until_up()
    finally:
        broker.close()


def test_the_operators_command_refuses_it_too():
    broker = HostileBroker(PACKET)
    try:
        done = subprocess.run([INSTAR, "rollout", "list", "--broker", f"mqtt://127.0.0.1:{broker.port}", "--timeout", "20s"],
                              capture_output=True, text=True, timeout=2 * HANGS_S)
        assert done.returncode != 0
        assert f"a packet of {PACKET} bytes" in done.stderr
        assert broker.taken < PACKET // 4, "the packet was read"
    finally:
        broker.close()
