"""A web server on a free port, of loopback unless another host is given. It answers requests for ranges, for peers that fetch parts of a
file, and counts the bytes that it sends."""

import re
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

BLOCK = 1 << 20


class _Server(ThreadingHTTPServer):
    def handle_error(self, request, client_address) -> None:
        """A client that is gone is no error of the server's."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class WebServer:
    """Serves the files below `folder` while it is open. `body_bytes` counts content, without HTTP's own headers."""

    def __init__(self, folder: Path, address: str = "127.0.0.1"):
        self.folder = folder.resolve()
        self.body_bytes = 0
        self.requests = 0
        self._lock = threading.Lock()
        self._server = _Server((address, 0), self._handler())
        self.url = f"http://{address}:{self._server.server_address[1]}"

    def __enter__(self) -> "WebServer":
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        self._server.shutdown()
        self._server.server_close()

    def count(self, sent: int) -> None:
        with self._lock:
            self.body_bytes += sent

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        web = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_) -> None:
                pass

            def do_HEAD(self) -> None:
                self.answer(body=False)

            def do_GET(self) -> None:
                self.answer(body=True)

            def answer(self, body: bool) -> None:
                with web._lock:
                    web.requests += 1
                path = (web.folder / self.path.split("?")[0].lstrip("/")).resolve()
                if not path.is_relative_to(web.folder) or not path.is_file():
                    self.send_response(404)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                size = path.stat().st_size
                ranges = wanted(self.headers.get("Range"), size)
                parts = [(start, end, b"") for start, end in ranges]
                if len(ranges) > 1:
                    parts = [(a, b, f"\r\n--part\r\nContent-Type: application/octet-stream\r\nContent-Range: bytes {a}-{b - 1}/{size}\r\n\r\n"
                              .encode()) for a, b in ranges]
                tail = b"\r\n--part--\r\n" if len(ranges) > 1 else b""
                self.send_response(206 if self.headers.get("Range") else 200)
                self.send_header("Accept-Ranges", "bytes")
                if len(ranges) > 1:
                    self.send_header("Content-Type", "multipart/byteranges; boundary=part")
                elif self.headers.get("Range"):
                    self.send_header("Content-Range", f"bytes {ranges[0][0]}-{ranges[0][1] - 1}/{size}")
                self.send_header("Content-Length", str(sum(b - a + len(head) for a, b, head in parts) + len(tail)))
                self.end_headers()
                if body:
                    self.send_parts(path, parts)
                    self.wfile.write(tail)

            def send_parts(self, path: Path, parts: list[tuple[int, int, bytes]]) -> None:
                with path.open("rb") as file:
                    for start, end, head in parts:
                        self.wfile.write(head)
                        file.seek(start)
                        while start < end:
                            block = file.read(min(BLOCK, end - start))
                            self.wfile.write(block)
                            web.count(len(block))
                            start += len(block)

        return Handler


def wanted(header: str | None, size: int) -> list[tuple[int, int]]:
    """Half-open ranges that a Range header asks for; the whole file without one."""
    if not header:
        return [(0, size)]
    found = [(int(a), min(int(b) + 1 if b else size, size)) for a, b in re.findall(r"(\d+)-(\d*)", header)]
    return [(a, b) for a, b in found if a < b] or [(0, size)]
