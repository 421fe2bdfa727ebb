"""A web server on this machine that serves one file as badly as asked."""

from __future__ import annotations

import hashlib
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, build_opener

import numpy as np

CONTENT = b"PK\x03\x04" + np.random.default_rng(7).integers(0, 256, 3_000_000 - 4, dtype=np.uint8).tobytes()
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@dataclass
class Behaviour:
    """What the server does with the next requests; `requests` records the (path, Range header) of each."""

    content: bytes = CONTENT
    etag: str | None = '"one"'
    ranges: bool = True
    cut_after: int | None = None
    """Close the connection after this many bytes of body ..."""
    cuts: int = 1
    """... in so many answers."""
    stall_after: int | None = None
    """Send nothing more after this many bytes until the server is closed."""
    announce: int | None = None
    """Lie in Content-Length."""
    chunked: bool = False
    status: int = 200
    failing: int = 10**9
    """How many answers have `status` instead of the file."""
    content_type: str = "application/octet-stream"
    redirect: str | None = None
    pause: float = 0.0
    """Seconds between blocks of 64 KiB."""
    extra_headers: dict[str, str] = field(default_factory=dict)
    requests: list[tuple[str, str | None]] = field(default_factory=list)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ModelServer

    def log_message(self, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        how = self.server.behaviour
        how.requests.append((self.path, self.headers["Range"]))
        if self.path.startswith("http://"):
            self._forward()
        elif how.redirect is not None and "moved" not in self.path:
            self._head(302, {"Location": how.redirect, "Content-Length": "0"})
        elif how.status != 200 and how.failing > 0:
            how.failing -= 1
            body = b"<html>sorry</html>"
            self._head(how.status, {"Content-Type": "text/html", "Content-Length": str(len(body))})
            self.wfile.write(body)
        else:
            self._serve(how)

    def _serve(self, how: Behaviour) -> None:
        start, status = 0, 200
        headers = {"Content-Type": how.content_type, **how.extra_headers}
        if how.etag is not None:
            headers["ETag"] = how.etag
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers["Range"] or "")
        if how.ranges and wanted and self.headers["If-Range"] in (None, how.etag):
            start, status = int(wanted[1]), 206
            if start >= len(how.content):
                self._head(416, {"Content-Range": f"bytes */{len(how.content)}", "Content-Length": "0"})
                return
            headers["Content-Range"] = f"bytes {start}-{len(how.content) - 1}/{len(how.content)}"
        body = how.content[start:]
        if how.chunked:
            headers["Transfer-Encoding"] = "chunked"
        else:
            headers["Content-Length"] = str(how.announce if how.announce is not None else len(body))
        self._head(status, headers)
        self._send(body, how)

    def _send(self, body: bytes, how: Behaviour) -> None:
        sent = 0
        while sent < len(body):
            block = body[sent : sent + 65536]
            if how.cut_after is not None and how.cuts > 0 and sent + len(block) > how.cut_after:
                self.wfile.write(block[: how.cut_after - sent])
                how.cuts -= 1
                self.close_connection = True
                return
            if how.stall_after is not None and sent >= how.stall_after:
                self.server.closing.wait(30)
                self.close_connection = True
                return
            try:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(block), block) if how.chunked else block)
            except OSError:
                self.close_connection = True
                return
            sent += len(block)
            if how.pause:
                time.sleep(how.pause)
        if how.chunked:
            self.wfile.write(b"0\r\n\r\n")
        if how.announce is not None:
            self.close_connection = True

    def _forward(self) -> None:
        """Be a proxy."""
        with build_opener(ProxyHandler({})).open(self.path) as answer:
            body = answer.read()
        self._head(200, {"Content-Type": "application/octet-stream", "Content-Length": str(len(body))})
        self.wfile.write(body)

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()


class ModelServer(ThreadingHTTPServer):
    """The server; change `behaviour` at any time."""

    daemon_threads = False
    block_on_close = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.behaviour = Behaviour()
        self.closing = threading.Event()
        self.scheme = "http"

    def handle_error(self, *args: object) -> None:
        """Clients that hang up are the point of these tests."""

    def url(self, path: str = "/model.pth") -> str:
        return f"{self.scheme}://127.0.0.1:{self.server_port}{path}"

    @property
    def ranges(self) -> list[str | None]:
        """The Range header of each request so far."""
        return [wanted for path, wanted in self.behaviour.requests]

    @property
    def hosts(self) -> list[str | None]:
        """The host named in each request's path: None unless the server was used as a proxy."""
        return [urlsplit(path).hostname for path, wanted in self.behaviour.requests]


@contextmanager
def serving(server: ModelServer) -> Iterator[ModelServer]:
    """Run `server` in a thread until the block ends."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, name="model server")
    thread.start()
    try:
        yield server
    finally:
        server.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()
