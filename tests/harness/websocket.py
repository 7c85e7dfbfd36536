"""A WebSocket on a bare socket, for tests that must say each header themselves. It has what harness.mqtt.Mqtt asks of a stream."""

import base64
import os
import socket
import struct

from .process import HANGS_S

BINARY, CLOSE = 2, 8


class Refused(Exception):
    """The server answered with something else than a WebSocket, or not at all; the answer's first line."""


class WebSocket:
    """`headers`: in place of those that a browser would send; None leaves one out."""

    def __init__(self, port: int, path: str, *, protocol: str | None = "mqtt", **headers: str | None):
        host = f"127.0.0.1:{port}"
        said = {"Host": host, "Origin": f"http://{host}", "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
                "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(), "Sec-WebSocket-Protocol": protocol} | headers
        lines = [f"GET {path} HTTP/1.1", *[f"{name}: {value}" for name, value in said.items() if value is not None]]
        self.socket = socket.create_connection(("127.0.0.1", port), HANGS_S)
        self.buffer = b""
        self.socket.sendall("\r\n".join([*lines, "", ""]).encode())
        try:
            while b"\r\n\r\n" not in self.buffer and (data := self.socket.recv(65536)):
                self.buffer += data
        except ConnectionError:
            pass
        answer, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        if not answer.startswith(b"HTTP/1.1 101 "):
            self.socket.close()
            raise Refused(answer.split(b"\r\n")[0].decode())

    def fileno(self) -> int:
        return self.socket.fileno()

    def sendall(self, data: bytes, kind: int = BINARY) -> None:
        size = bytes([0x80 | len(data)]) if len(data) < 126 else b"\xfe" + struct.pack(">H", len(data)) if len(data) < 65536 \
            else b"\xff" + struct.pack(">Q", len(data))
        # Masked with zeros: the bytes are as they were.
        self.socket.sendall(bytes([0x80 | kind]) + size + bytes(4) + data)

    def recv(self, size: int) -> bytes:
        """What has come of binary frames, at least one byte; b"" at the end."""
        found = b""
        while not found:
            while (frame := self._frame()) is not None:
                kind, payload = frame
                if kind == CLOSE:
                    return found
                found += payload if kind == BINARY else b""
            if not found:
                data = self.socket.recv(size)
                if not data:
                    return b""
                self.buffer += data
        return found

    def _frame(self) -> tuple[int, bytes] | None:
        if len(self.buffer) < 2:
            return None
        size, at = self.buffer[1] & 127, 2
        form = {126: ">H", 127: ">Q"}.get(size)
        if form:
            at += struct.calcsize(form)
            if len(self.buffer) < at:
                return None
            size, = struct.unpack_from(form, self.buffer, 2)
        if len(self.buffer) < at + size:
            return None
        kind, payload = self.buffer[0] & 15, self.buffer[at:at + size]
        self.buffer = self.buffer[at + size:]
        return kind, payload

    def close(self) -> None:
        self.socket.close()
