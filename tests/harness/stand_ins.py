"""Servers that behave as Mosquitto does not on demand."""

import socket
import threading
from collections.abc import Callable, Iterator

from .process import free_port

Talk = Callable[[socket.socket], None]


class StandIn:
    """Listens on a port of loopback and talks to each connection on a thread of its own."""

    def __init__(self, talk: Talk):
        self.port = free_port()
        self.talk = talk
        self.server = socket.create_server(("127.0.0.1", self.port))
        self.open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.server.accept()
            except OSError:
                return
            self.open.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            self.talk(connection)
            connection.close()
        except OSError:
            pass

    def close(self) -> None:
        for one in [self.server, *self.open]:
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            one.close()


class FullBacklog:
    """A port that takes no further connection and refuses none: as behind a firewall that drops what comes."""

    def __init__(self):
        self.port = free_port()
        self.server = socket.socket()
        self.server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.server.bind(("127.0.0.1", self.port))
        self.server.listen(0)
        self.waiting = []
        for _ in range(3):
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", self.port))
            self.waiting.append(one)

    def close(self) -> None:
        for one in [self.server, *self.waiting]:
            one.close()


def hangs_up(connection: socket.socket) -> None:
    connection.recv(1)


def says_nothing(connection: socket.socket) -> None:
    while connection.recv(4096):
        pass


def speaks_http(connection: socket.socket) -> None:
    connection.recv(4096)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")


def answers_connect(code5: int, code3: int) -> Talk:
    """CONNACK with the code of MQTT 5 or of 3.1.1, whichever is spoken."""

    def talk(connection: socket.socket) -> None:
        # Head of one byte and length of one or two, then "MQTT" and the version.
        packet = connection.recv(4096)
        version = packet[packet.index(b"MQTT") + 4]
        connection.sendall(bytes([0x20, 3, 0, code5, 0]) if version == 5 else bytes([0x20, 2, 0, code3]))
        connection.recv(4096)

    return talk


def limits_keepalive(seconds: int) -> Talk:
    """As brokers do that have a max_keepalive: MQTT 5 is told the limit, 3.1.1 is refused (Mosquitto 2.0.11 lets it in)."""

    def talk(connection: socket.socket) -> None:
        packet = connection.recv(4096)
        version = packet[packet.index(b"MQTT") + 4]
        limit = bytes([0x13, *seconds.to_bytes(2, "big")])
        connection.sendall(bytes([0x20, 3 + len(limit), 0, 0, len(limit)]) + limit if version == 5 else bytes([0x20, 2, 0, 2]))
        connection.recv(4096)

    return talk


def takes_over(connection: socket.socket) -> None:
    """Lets everybody in, and ends the connection as if another client had come with the same id; MQTT 5 is told why."""
    packet = connection.recv(4096)
    version = packet[packet.index(b"MQTT") + 4]
    connection.sendall(bytes([0x20, 3, 0, 0, 0, 0xE0, 2, 0x8E, 0]) if version == 5 else bytes([0x20, 2, 0, 0]))


def packets(connection: socket.socket) -> Iterator[bytes]:
    """Each packet's head and body, without its length, until the other side ends."""
    stream = connection.makefile("rb")
    while head := stream.read(1):
        size, shift, digit = 0, 0, 0x80
        while digit & 0x80:
            digit = stream.read(1)[0]
            size, shift = size | (digit & 0x7f) << shift, shift + 7
        yield head + stream.read(size)


def refuses_subscriptions(connection: socket.socket) -> None:
    """Lets everybody in by 3.1.1, and refuses each SUBSCRIBE of one filter."""
    for packet in packets(connection):
        if packet[0] == 0x10:
            connection.sendall(bytes([0x20, 2, 0, 0]))
        elif packet[0] == 0x82:
            connection.sendall(bytes([0x90, 3]) + packet[1:3] + b"\x80")
