"""A TCP proxy in user space that makes a loopback connection as slow, late and unreliable as the link it stands for."""

import collections
import random
import select
import socket
import struct
import threading
import time
from collections.abc import Callable

from .process import wait_for


class Shaper:
    """Listens on `port` and hands each connection on to (host, target port). All settings may change while it runs.

    rate_down, rate_up   bytes a second towards and from the client, None = as fast as it goes
    delay_s, jitter_s    one way, each way; order is kept
    cut_every_bytes      resets a connection each time so many bytes have gone towards the client
    stall_at             reads no more from the broker once so many bytes have come from there, as a client that stops reading its socket;
                         counted as bytes_down is. stall() is: from now on
    refusing             True: no new connections (a dead link)
    refuse_every         refuses the second connection, and each so-manieth after it
    queue_bytes          what waits at most before a slow link, each way; more stays with who sends
    handshake            True: what is sent on a new connection waits for a round trip first, as TCP has it
    tap                  called with (number of the connection, is it towards the client, data) for all that is handed on
    bytes_lost           had left the queue for the client, and were on their way when the connection was cut
    """

    def __init__(self, target_port: int, host: str = "127.0.0.1"):
        self.target = (host, target_port)
        self.rate_down: float | None = None
        self.rate_up: float | None = None
        self.delay_s = 0.0
        self.jitter_s = 0.0
        self.cut_every_bytes: int | None = None
        self.stall_at: int | None = None
        self.refusing = False
        self.refuse_every: int | None = None
        self.queue_bytes = 32 * 1024
        self.handshake = False
        self.tap: Callable[[int, bool, bytes], None] | None = None
        self.bytes_lost = 0
        self.bytes_read = 0  # from the broker
        self.bytes_down = 0
        self.bytes_up = 0
        self.connections = 0
        self.cuts = 0
        self._open: set[_Connection] = set()
        self._half_closed: list[socket.socket] = []
        self._asked = 0  # connections, also those that were refused
        self._lock = threading.Lock()
        self._reading = threading.Lock()
        self._closed = False
        self._listener = socket.create_server((host, 0), backlog=64)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> "Shaper":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def cut(self) -> None:
        """Resets all connections, now."""
        with self._lock:
            open_now = list(self._open)
        for connection in open_now:
            self.cuts += 1
            self.bytes_lost += connection.down.in_the_air()
            connection.reset()

    def half_close(self) -> None:
        """Ends all connections towards the client, as a proxy does whose other side is gone without a word: the broker sees nothing of it."""
        with self._lock:
            open_now = list(self._open)
        for connection in open_now:
            self.cuts += 1
            self.bytes_lost += connection.down.in_the_air()
            self._half_closed += connection.half_close()

    def stall(self) -> None:
        """Reads nothing more from the broker. Returns when all that was read has been handed on."""
        with self._reading:
            self.stall_at = self.bytes_read
        wait_for("the link stands still", self.stands, interval_s=0.01)

    def stands(self) -> bool:
        """It has stalled, and all that was read before has been handed on."""
        with self._lock, self._reading:
            stalled = self.stall_at is not None and self.bytes_read >= self.stall_at
            return stalled and all(connection.bytes_read == connection.bytes_down for connection in self._open)

    def _read(self, connection: "_Connection", most: int) -> bytes | None:
        """Up to so many bytes that the broker has sent; None when there is nothing to read, or it is stalled."""
        if not select.select([connection.broker], [], [], 0.05)[0]:
            return None
        with self._reading:
            left = most if self.stall_at is None else min(most, self.stall_at - self.bytes_read)
            if left <= 0:
                data = None
            else:
                data = connection.broker.recv(left)
                self.bytes_read += len(data)
                connection.bytes_read += len(data)
        if data is None:
            time.sleep(0.02)
        return data

    def close(self) -> None:
        self._closed = True
        try:
            self._listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._listener.close()
        self.cut()
        for side in self._half_closed:
            side.close()

    def _accept(self) -> None:
        while not self._closed:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._asked += 1
            if self.refusing or (self.refuse_every and self._asked % self.refuse_every == 2 % self.refuse_every):
                _reset(client)
                continue
            try:
                broker = socket.socket()
                # Small, so that a stall reaches the broker at once instead of filling the kernel's buffers first.
                broker.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32 * 1024)
                broker.connect(self.target)
            except OSError:
                _reset(client)
                continue
            for side in (client, broker):
                side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections += 1
            connection = _Connection(self, client, broker)
            with self._lock:
                self._open.add(connection)
            connection.start()

    def _forget(self, connection: "_Connection") -> None:
        with self._lock:
            self._open.discard(connection)


class _Connection:
    def __init__(self, shaper: Shaper, client: socket.socket, broker: socket.socket):
        self.shaper = shaper
        self.client = client
        self.broker = broker
        self.bytes_read = 0
        self.bytes_down = 0  # handed on
        self.number = shaper.connections
        self.dead = threading.Event()
        self.down = _Pump(self, self.broker, self.client, down=True)
        self.up = _Pump(self, self.client, self.broker, down=False)

    def start(self) -> None:
        if self.shaper.handshake:
            self.up.free_at = time.monotonic() + 2 * self.shaper.delay_s
        self.down.start()
        self.up.start()

    def half_close(self) -> list[socket.socket]:
        """The sockets that stay open."""
        if self.dead.is_set():
            return []
        self.dead.set()
        self.shaper._forget(self)
        try:
            self.client.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        return [self.client, self.broker]

    def reset(self) -> None:
        if not self.dead.is_set():
            self.dead.set()
            _reset(self.client)
            _reset(self.broker)
            self.shaper._forget(self)


class _Pump:
    """One direction: a thread reads and stamps what it read with the moment at which it may leave, another one writes."""

    def __init__(self, connection: _Connection, source: socket.socket, sink: socket.socket, down: bool):
        self.connection = connection
        self.source = source
        self.sink = sink
        self.down = down
        self.queue: collections.deque[tuple[float, bytes]] = collections.deque()
        self.queued = 0
        self.condition = threading.Condition()
        self.free_at = 0.0
        self.ended = False

    def start(self) -> None:
        threading.Thread(target=self._read, daemon=True).start()
        threading.Thread(target=self._write, daemon=True).start()

    def _read(self) -> None:
        shaper, connection = self.connection.shaper, self.connection
        try:
            while not connection.dead.is_set():
                rate = shaper.rate_down if self.down else shaper.rate_up
                most = 16384 if rate is None else max(256, min(16384, int(rate / 20)))
                data = shaper._read(connection, most) if self.down else self.source.recv(most)
                if data is None:
                    continue
                if not data:
                    break
                now = time.monotonic()
                self.free_at = max(now, self.free_at) + (len(data) / rate if rate else 0)
                due = self.free_at + shaper.delay_s + random.random() * shaper.jitter_s
                in_flight = shaper.queue_bytes + (int(rate * shaper.delay_s) if rate else 4_000_000)
                with self.condition:
                    while self.queued > in_flight and not connection.dead.is_set():
                        self.condition.wait(0.1)
                    if self.queue:
                        due = max(due, self.queue[-1][0])
                    self.queue.append((due, data))
                    self.queued += len(data)
                    self.condition.notify_all()
        except (OSError, ValueError):
            connection.reset()
        with self.condition:
            self.ended = True
            self.condition.notify_all()

    def _write(self) -> None:
        shaper, connection = self.connection.shaper, self.connection
        try:
            while not connection.dead.is_set():
                with self.condition:
                    while not self.queue and not self.ended and not connection.dead.is_set():
                        self.condition.wait(0.2)
                    if not self.queue:
                        break
                    due, data = self.queue[0]
                wait = due - time.monotonic()
                if wait > 0 and connection.dead.wait(wait):
                    return
                allowed = self._allowed(len(data))
                self.sink.sendall(data[:allowed])
                if shaper.tap:
                    shaper.tap(connection.number, self.down, data[:allowed])
                self._count(allowed)
                with self.condition:
                    self.queue.popleft()
                    self.queued -= len(data)
                    self.condition.notify_all()
        except OSError:
            pass
        # One side has ended: so does the other. What MQTT has to say after a DISCONNECT is nothing.
        connection.reset()

    def in_the_air(self) -> int:
        """Bytes that have left the queue and have not arrived."""
        left = time.monotonic() + self.connection.shaper.delay_s
        with self.condition:
            return sum(len(data) for due, data in self.queue if due <= left)

    def _allowed(self, count: int) -> int:
        """How many of `count` bytes go before the next cut: a cut falls at its byte, whatever one read happened to hold."""
        limit = self.connection.shaper.cut_every_bytes if self.down else None
        return count if limit is None else min(count, max(0, limit - self.connection.bytes_down))

    def _count(self, count: int) -> None:
        shaper, connection = self.connection.shaper, self.connection
        if not self.down:
            shaper.bytes_up += count
            return
        shaper.bytes_down += count
        connection.bytes_down += count
        if shaper.cut_every_bytes and connection.bytes_down >= shaper.cut_every_bytes:
            shaper.cuts += 1
            connection.reset()


def _reset(side: socket.socket) -> None:
    """Closes with a RST, as a link that is gone."""
    try:
        side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        side.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    side.close()
