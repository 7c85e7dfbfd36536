"""What passes a shaper, read from its bytes: pieces of chunks, what was cut off, and what came first."""

import struct
import time
from dataclasses import dataclass, field

from .shaper import Shaper

PUBLISH = 3


def vector_count(payload: bytes, number: int) -> int:
    """Of a FlatBuffer's root table: how many elements a field has that is a vector."""
    root, = struct.unpack_from("<I", payload)
    table = root - struct.unpack_from("<i", payload, root)[0]
    size, at = struct.unpack_from("<H", payload, table)[0], 4 + 2 * number
    offset = struct.unpack_from("<H", payload, table + at)[0] if at < size else 0
    if not offset:
        return 0
    return struct.unpack_from("<I", payload, root + offset + struct.unpack_from("<I", payload, root + offset)[0])[0]


@dataclass
class Packets:
    """One direction of one connection: cuts it into the packets of MQTT 3.1.1."""

    held: bytes = b""

    def take(self, data: bytes) -> list[tuple[int, str, bytes]]:
        """(kind, topic, payload) of each packet that is complete now; topic and payload of publications only."""
        self.held += data
        found = []
        while True:
            size, shift, at = 0, 0, 1
            while at < len(self.held):
                size, shift, at = size | (self.held[at] & 127) << shift, shift + 7, at + 1
                if not self.held[at - 1] & 128:
                    break
            else:
                return found
            if len(self.held) < at + size:
                return found
            kind, body = self.held[0] >> 4, self.held[at:at + size]
            topic, payload = "", b""
            if kind == PUBLISH:
                end = 2 + struct.unpack_from(">H", body)[0]
                topic, payload = body[2:end].decode(errors="replace"), body[end + (2 if self.held[0] >> 1 & 3 else 0):]
            self.held = self.held[at + size:]
            found.append((kind, topic, payload))


@dataclass
class LinkWatch:
    """Watches one device's link from its shaper, from now on. Times are those of time.monotonic()."""

    shaper: Shaper
    first_request: float = 0.0
    last_piece: float = 0.0
    chunk_bytes: int = 0  # data of pieces that arrived whole
    waits: list[tuple[float, float]] = field(default_factory=list)  # of messages on `bench/…`: when sent, seconds until there
    first_pieces: dict[int, float] = field(default_factory=dict)  # of each connection, when it came
    # Connections that asked for chunks before anything had come from the broker.
    asked_at_once: list[int] = field(default_factory=list)
    _heard: set[int] = field(default_factory=set)
    _asked: set[int] = field(default_factory=set)
    _packets: dict[tuple[int, bool], Packets] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.shaper.tap = self._take

    def _take(self, connection: int, down: bool, data: bytes) -> None:
        now = time.monotonic()
        for kind, topic, payload in self._packets.setdefault((connection, down), Packets()).take(data):
            if down:
                self._heard.add(connection)
            if kind != PUBLISH:
                continue
            if not down and topic.endswith("/fetch"):
                # It was sent half a round trip ago.
                self.first_request = self.first_request or now - self.shaper.delay_s
                if connection not in self._heard | self._asked:
                    self.asked_at_once.append(connection)
                self._asked.add(connection)
            elif down and topic.startswith("bench/"):
                sent, = struct.unpack_from(">d", payload)
                if 0 < sent <= now:  # a diagnosis speaks MQTT 5, whose messages begin otherwise
                    self.waits.append((sent, now - sent))
            elif down and topic.endswith("/chunk"):
                self._take_piece(connection, now, payload)

    def _take_piece(self, connection: int, now: float, payload: bytes) -> None:
        size = vector_count(payload, 3)
        if not size:
            return
        self.last_piece = now
        self.chunk_bytes += size
        self.first_pieces.setdefault(connection, now)

    @property
    def bytes_cut_off(self) -> int:
        """Of packets whose rest never came, their heads included: what the device can make use of is among it."""
        return sum(len(packets.held) for (_, down), packets in self._packets.items() if down)

    def held(self) -> int:
        """Bytes of the packet that is half there, on the newest connection."""
        newest = max((number for number, down in self._packets if down), default=0)
        return len(self._packets[newest, True].held) if newest else 0
