"""A small MQTT 3.1.1 (and, where asked for, 5) client on a bare socket, for tests that must see and send each packet themselves."""

import select
import socket
import ssl
import struct
import threading
import time
from dataclasses import dataclass

from .process import HANGS_S


@dataclass
class Packet:
    kind: int  # 2 CONNACK, 3 PUBLISH, 4 PUBACK, 9 SUBACK, 13 PINGRESP …
    flags: int
    body: bytes
    version: int = 4

    @property
    def topic(self) -> str:
        return self.body[2:2 + struct.unpack(">H", self.body[:2])[0]].decode()

    @property
    def qos(self) -> int:
        return self.flags >> 1 & 3

    @property
    def retained(self) -> bool:
        return bool(self.flags & 1)

    @property
    def packet_id(self) -> int:
        at = 2 + len(self.topic.encode()) if self.kind == 3 else 0
        return struct.unpack(">H", self.body[at:at + 2])[0]

    @property
    def payload(self) -> bytes:
        at = 2 + len(self.topic.encode()) + (2 if self.qos else 0)
        if self.version == 5:
            size, shift = 0, 0
            while True:
                size, shift, at = size | (self.body[at] & 127) << shift, shift + 7, at + 1
                if not self.body[at - 1] & 128:
                    break
            at += size
        return self.body[at:]

    @property
    def reason(self) -> int:
        """Of a PUBACK, PUBREC or PUBCOMP: what MQTT 5 says; 0 in 3.1.1."""
        return self.body[2] if len(self.body) > 2 else 0


def text(value: str | bytes) -> bytes:
    raw = value.encode() if isinstance(value, str) else value
    return struct.pack(">H", len(raw)) + raw


def length(value: int) -> bytes:
    out = b""
    while True:
        value, digit = value >> 7, value & 127
        out += bytes([digit | (128 if value else 0)])
        if not value:
            return out


class Closed(Exception):
    """The broker closed the connection."""


class Mqtt:
    """Connects at once. One thread may send while another one receives. `stream`: a connection that stands, in place of one of its own."""

    def __init__(self, port: int, client_id: str, *, username: str | None = None, password: str | None = None, clean: bool = True,
                 keepalive_s: int = 0, will: tuple[str, bytes] | None = None, receive_buffer: int | None = None, host: str = "127.0.0.1",
                 version: int = 4, will_retain: bool = False, tls: ssl.SSLContext | None = None, stream=None):
        self.version = version
        self.properties = b"\x00" if version == 5 else b""
        self.sending = threading.Lock()
        self.socket = stream or self._connected(host, port, receive_buffer, tls)
        self.buffer = b""
        self.next_id = 1
        self.messages: list[Packet] = []
        flags = (2 if clean else 0) | (4 if will else 0) | (32 if will and will_retain else 0)
        flags |= (128 if username is not None else 0) | (64 if password is not None else 0)
        body = text("MQTT") + bytes([version, flags]) + struct.pack(">H", keepalive_s) + self.properties + text(client_id)
        if will:
            body += self.properties + text(will[0]) + text(will[1])
        body += (text(username) if username is not None else b"") + (text(password) if password is not None else b"")
        self.send(0x10, body)
        answer = self.receive()
        if answer is None or answer.kind != 2:
            raise Closed("no CONNACK")
        self.session_present, self.connect_code = bool(answer.body[0] & 1), answer.body[1]

    @staticmethod
    def _connected(host: str, port: int, receive_buffer: int | None, tls: ssl.SSLContext | None) -> socket.socket:
        made = socket.socket()
        if receive_buffer:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        made.settimeout(HANGS_S)
        made.connect((host, port))
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return made if tls is None else tls.wrap_socket(made, server_hostname=host)

    def __enter__(self) -> "Mqtt":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, head: int, body: bytes) -> None:
        try:
            with self.sending:
                self.socket.sendall(bytes([head]) + length(len(body)) + body)
        except OSError as error:
            raise Closed(str(error)) from error

    def receive(self, timeout_s: float = HANGS_S) -> Packet | None:
        """The next packet, or None when none came in time."""
        until = time.monotonic() + timeout_s
        while True:
            packet = self._take()
            if packet:
                return packet
            left = until - time.monotonic()
            if left <= 0:
                return None
            try:
                # Not by the socket's own timeout: that would be the sending thread's too.
                if not select.select([self.socket], [], [], left)[0]:
                    return None
                data = self.socket.recv(65536)
            except (OSError, ValueError) as error:
                raise Closed(str(error)) from error
            if not data:
                raise Closed("end of stream")
            self.buffer += data

    def _take(self) -> Packet | None:
        size, shift, at = 0, 0, 1
        while True:
            if at >= len(self.buffer):
                return None
            digit = self.buffer[at]
            size |= (digit & 127) << shift
            shift, at = shift + 7, at + 1
            if not digit & 128:
                break
        if len(self.buffer) < at + size:
            return None
        packet = Packet(self.buffer[0] >> 4, self.buffer[0] & 15, self.buffer[at:at + size], self.version)
        self.buffer = self.buffer[at + size:]
        if packet.kind == 3 and packet.qos == 1:
            self.send(0x40, struct.pack(">H", packet.packet_id))
        return packet

    def await_kind(self, kind: int, timeout_s: float = HANGS_S) -> Packet | None:
        """The next packet of this kind; publications that come before it are kept in `messages`."""
        until = time.monotonic() + timeout_s
        while (left := until - time.monotonic()) > 0:
            packet = self.receive(left)
            if packet and packet.kind == kind:
                return packet
            if packet and packet.kind == 3:
                self.messages.append(packet)
        return None

    def subscribe(self, *filters: str, qos: int = 1) -> list[int]:
        """Return codes of the SUBACK: the granted QoS, or 128."""
        self.next_id += 1
        self.send(0x82, struct.pack(">H", self.next_id) + self.properties + b"".join(text(f) + bytes([qos]) for f in filters))
        answer = self.await_kind(9)
        if answer is None:
            raise Closed("no SUBACK")
        return list(answer.body[2 + len(self.properties):])

    def publish_for_reason(self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False) -> int | None:
        """The reason in the PUBACK or PUBREC (then with the rest of the QoS 2 dance), or None when there was no answer."""
        self.publish(topic, payload, qos=qos, retain=retain, await_ack=False)
        answer = self.await_kind(4 if qos == 1 else 5)
        if answer and qos == 2 and answer.reason < 0x80:
            self.send(0x62, struct.pack(">H", answer.packet_id))
            if self.await_kind(7) is None:
                return None
        return answer and answer.reason

    def publish(self, topic: str, payload: bytes | str, *, qos: int = 0, retain: bool = False, await_ack: bool = True) -> bool:
        """True when QoS 0, or when the PUBACK came."""
        raw = payload.encode() if isinstance(payload, str) else payload
        body = text(topic)
        if qos:
            self.next_id = self.next_id % 65535 + 1
            body += struct.pack(">H", self.next_id)
        body += self.properties
        self.send(0x30 | qos << 1 | (1 if retain else 0), body + raw)
        return not qos or not await_ack or self.await_kind(4) is not None

    def ping(self, timeout_s: float = HANGS_S) -> bool:
        self.send(0xC0, b"")
        return self.await_kind(13, timeout_s) is not None

    def next_message(self, timeout_s: float = HANGS_S) -> Packet | None:
        return self.messages.pop(0) if self.messages else self.await_kind(3, timeout_s)

    def drain(self, quiet_s: float = 0) -> list[Packet]:
        """All publications that the broker had for this client at the call: its answer to a ping comes behind them. What another client has
        published counts once that one has its PUBACK. Of QoS 1 the broker sends so many and then waits for acknowledgements: hence once
        more, until nothing comes before the answer. With `quiet_s`, for scripts by hand: until none has come for so long."""
        found: list[Packet] = []
        if quiet_s:
            found, self.messages = self.messages, []
            while packet := self.await_kind(3, quiet_s):
                found.append(packet)
            return found
        while True:
            assert self.ping(), "no answer to a ping"
            if not self.messages:
                return found
            found, self.messages = found + self.messages, []

    def disconnect(self) -> None:
        try:
            self.send(0xE0, b"")
        except Closed:
            pass
        self.close()

    def close(self) -> None:
        self.socket.close()
