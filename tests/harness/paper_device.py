"""A device without a client: it signs hellos and reports, asks for chunks, and keeps what comes back."""

import time

from . import forge
from .broker import Broker
from .mqtt import Mqtt, Packet


class PaperDevice:
    def __init__(self, broker: Broker, device: str, *, group: str = "test/line", product: str = "test-box", key: forge.Key | None = None,
                 **options):
        self.id, self.group, self.product = device, group, product
        self.key = key or forge.Key.random()
        self.prefix = f"instar/v1/d/{device}"
        self.acked = 0
        self.positions: list[tuple[int, int, int]] = []
        self.connect(broker, **options)

    def connect(self, broker: Broker, **options) -> None:
        self.client: Mqtt = broker.client(self.id, **options)
        self.client.subscribe(f"{self.prefix}/chunk", f"{self.prefix}/ack", qos=0)

    def hello(self, *, connect: int = 1, last_sequence: int = 0) -> dict:
        """Says hello and returns the ack."""
        payload = forge.flat("hello", {
            "device": self.id, "public_key": list(self.key.public), "product": self.product, "groups": [self.group], "architecture": "x86_64",
            "last_sequence": last_sequence, "acked_sequence": self.acked, "boot": 1, "connect": connect, "pack_formats": [1], "root_version": 1})
        self.client.publish(f"{self.prefix}/hello", forge.seal(forge.HELLO, payload, self.key), qos=1)
        return self.await_ack()

    def report(self, sequence: int, rollout: bytes, step: str, **fields: object) -> dict:
        """Sends a report and returns the ack."""
        payload = forge.flat("report", {"device": self.id, "sequence": sequence, "rollout": forge.hash_value(rollout), "attempt": 1,
                                        "step": step, "device_ms": int(time.time() * 1000)} | fields)
        self.client.publish(f"{self.prefix}/report", forge.seal(forge.REPORT, payload, self.key), qos=1)
        return self.await_ack()

    def await_ack(self) -> dict:
        while True:
            message = self.client.next_message()
            assert message is not None, "no ack"
            if message.topic == f"{self.prefix}/ack":
                ack = forge.unflat("ack", message.payload)
                self.acked = max(self.acked, ack["sequence"])
                return ack

    def fetch(self, session: int, pack: bytes | None, ranges: list[dict], *, received: int = 0, window: int = 65536, piece: int = 8192) -> None:
        value: dict = {"session": session, "received_bytes": received, "window_bytes": window, "piece_bytes_max": piece, "ranges": ranges}
        if pack is not None:
            value["pack"] = forge.hash_value(pack)
        self.client.publish(f"{self.prefix}/fetch", forge.flat("fetch", value))

    def pieces(self, bytes_min: int = 1) -> list[dict]:
        """Pieces until so many bytes have come, however long that takes, and those that the broker has sent by then."""
        found: list[dict] = []
        while size(found) < bytes_min:
            message = self.client.next_message()
            assert message is not None, f"{bytes_min} bytes are due and do not come"
            found += self._piece(message)
        for message in self.client.drain():
            found += self._piece(message)
        return found

    def _piece(self, message: Packet) -> list[dict]:
        """None for other messages, and for the broker's position in a transfer, which goes to `positions`."""
        if message.topic != f"{self.prefix}/chunk":
            return []
        piece = forge.unflat("chunk", message.payload)
        if piece.get("fault") == "position":
            self.positions.append((piece["session"], piece["ordinal"], piece.get("offset", 0)))
            return []
        return [piece]


def size(pieces: list[dict]) -> int:
    return sum(len(piece["data"]) for piece in pieces)
