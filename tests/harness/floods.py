"""Floods: what one client, or many, send over and over, each kind of it as packets of MQTT; on Instar's topics, or the same bytes on plain ones."""

import contextlib
import json
import os
import socket
import struct
import threading
from collections.abc import Callable

from . import forge, mqtt
from .broker import Broker
from .paper_device import PaperDevice

CONNECT_MARK = 0x7A5B3C01  # a number that a hello is made with once, to be replaced


def packet(topic: str, payload: bytes) -> bytes:
    body = mqtt.text(topic) + payload
    return b"\x30" + mqtt.length(len(body)) + body


class Flood:
    """One client that sends the packets over and over from a thread of its own, until the block ends."""

    def __init__(self, broker: Broker, client_id: str, packets: list[bytes], **login: str):
        self.bytes, self.messages, self.sent = b"".join(packets), len(packets), 0
        self.client = broker.client(client_id, **login)
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        try:
            while not self.stopping.is_set():
                self.client.socket.sendall(self.bytes)
                self.sent += self.messages
        except OSError:
            pass  # the test ends, and closes it

    def __enter__(self) -> "Flood":
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        # Reset, not closed: what lies in the buffers of the kernel, megabytes for each connection, is not waited for.
        self.client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        with contextlib.suppress(OSError):
            self.client.socket.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.client.close()


def hello(device: PaperDevice, connect: int) -> bytes:
    return forge.seal(forge.HELLO, forge.flat("hello", {
        "device": device.id, "public_key": list(device.key.public), "product": device.product, "groups": [device.group], "boot": 1,
        "connect": connect, "pack_formats": [1], "root_version": 1}), device.key)


def rising_hellos(device: PaperDevice, count: int, first: int = 2) -> list[bytes]:
    """Good ones, each later than the one before."""
    made = forge.payload_of(hello(device, CONNECT_MARK))
    mark = struct.pack("<I", CONNECT_MARK)
    assert made.count(mark) == 1
    return [forge.seal(forge.HELLO, made.replace(mark, struct.pack("<I", connect)), device.key) for connect in range(first, first + count)]


# --- the kinds: topic and payload of each message ------------------------------------------------
Messages = list[tuple[str, bytes]]


def big_hellos(device: PaperDevice) -> Messages:
    return [(f"{device.prefix}/hello", forge.seal(forge.HELLO, bytes(130_000), device.key))]


def good_hellos(device: PaperDevice) -> Messages:
    return [(f"{device.prefix}/hello", sealed) for sealed in rising_hellos(device, 300)]


def bad_hellos(device: PaperDevice) -> Messages:
    damaged = bytearray(hello(device, 2))
    damaged[40] ^= 1
    return [(f"{device.prefix}/hello", bytes(damaged))] * 100


def stale_reports(device: PaperDevice) -> Messages:
    report = forge.flat("report", {"device": device.id, "sequence": 9, "rollout": forge.hash_value(bytes(32)), "attempt": 1,
                                   "step": "failed"})
    return [(f"{device.prefix}/report", forge.seal(forge.REPORT, report, device.key))] * 100


def big_junk(device: PaperDevice) -> Messages:
    return [(f"{device.prefix}/{kind}", os.urandom(120_000)) for kind in ("report", "fetch", "hello")]


def unknown_fetches(device: PaperDevice) -> Messages:
    return [(f"{device.prefix}/fetch", forge.flat("fetch", {
        "session": session, "pack": forge.hash_value(os.urandom(32)), "ranges": [{"first": 0, "count": 1}], "window_bytes": 65_536,
        "piece_bytes_max": 8_192})) for session in range(1, 60)]


def puts(device: PaperDevice) -> Messages:
    return [(f"instar/v1/o/{device.id}/put", os.urandom(65_000))]


def commands(device: PaperDevice) -> Messages:
    """Of one who is no operator."""
    asked = json.dumps({"commands": [{"command": name} for name in ("listRollouts", "listDevices", "listPacks")]}).encode()
    return [("$CONTROL/instar/v1", asked)] * 100


KINDS: dict[str, Callable[[PaperDevice], Messages]] = {make.__name__: make for make in (
    bad_hellos, good_hellos, stale_reports, big_hellos, big_junk, unknown_fetches, puts, commands)}


def packets(messages: Messages) -> list[bytes]:
    return [packet(topic, payload) for topic, payload in messages]


def plain_packets(messages: Messages) -> list[bytes]:
    """The same bytes on topics that nobody but the broker knows of."""
    return [packet("plain/" + topic.replace("$", ""), payload) for topic, payload in messages]
