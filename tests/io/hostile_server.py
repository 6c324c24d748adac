"""A real HTTP server on this machine that publishes files, and behaves as badly as it is told to."""

import re
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Published:
    """A file, and what the server says of its version."""

    content: bytes
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Trouble:
    """What goes wrong with one request.

    Attributes:
        status: This status and no file.
        headers: More headers, or others.
        reason: Another phrase beside the status.
        is_partial: The status says that a range comes, whatever was asked for.
        drop_after: The connection ends after so many bytes of the body.
        with_reset: It ends by a reset, not by a close.
        stall_after: After so many bytes of the body nothing comes until the server is released.
        hangs_up: The connection ends without an answer.
        is_silent: There is no answer until the server is released.
        ignores_range: A range is not understood: the whole file comes.
        ignores_version: A range comes whatever version was asked for.
        shifted_by: A range starts so many bytes too late.
        content: Other bytes than the published ones.
        announced: The length that is announced; None for the true one.
        is_unannounced: No length is announced.
        is_chunked: No length is announced, but the end of the body is.
    """

    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    reason: str | None = None
    is_partial: bool = False
    drop_after: int | None = None
    with_reset: bool = False
    stall_after: int | None = None
    hangs_up: bool = False
    is_silent: bool = False
    ignores_range: bool = False
    ignores_version: bool = False
    shifted_by: int = 0
    content: bytes | None = None
    announced: int | None = None
    is_unannounced: bool = False
    is_chunked: bool = False


@dataclass
class Request:
    """What was asked and how much was sent."""

    method: str
    path: str
    range: str | None
    if_range: str | None
    encoding: str | None
    num_sent: int = 0


class HostileServer:
    """What is published under which path, what goes wrong with it, and what was asked."""

    def __init__(self) -> None:
        self.url = ""
        self.files: dict[str, Published] = {}
        self.troubles: dict[str, list[Trouble]] = {}  # one request after the other; after that all is well
        self.always: dict[str, Trouble] = {}
        self.requests: list[Request] = []
        self.released = threading.Event()
        self.release_at = 0  # this many requests must stall at once to be released
        self.num_forgotten = 0  # requests that nobody released
        self._num_stalled = 0
        self._lock = threading.Lock()

    def publish(self, path: str, content: bytes, *troubles: Trouble, **headers: str) -> str:
        """Publish a file and return its address; headers by name, with `_` for `-`."""
        self.files[path] = Published(content, {name.replace("_", "-"): value for name, value in headers.items()})
        self.troubles[path] = list(troubles)
        return f"{self.url}{path}"

    def gets(self, path: str | None = None) -> list[Request]:
        """Return the GET requests so far."""
        return [request for request in self.requests if request.method == "GET" and path in (None, request.path)]

    def stall(self) -> None:
        """Wait until the server is released, or enough requests wait."""
        with self._lock:
            self._num_stalled += 1
            if self._num_stalled == self.release_at:
                self.released.set()
        if not self.released.wait(30):
            self.num_forgotten += 1

    def trouble(self, path: str) -> Trouble:
        """Return what goes wrong with the next request."""
        return self.troubles[path].pop(0) if self.troubles.get(path) else self.always.get(path, Trouble())


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "_Server"

    def do_HEAD(self) -> None:
        self._note()
        file = self.server.hostile.files.get(self.path)
        trouble = self.server.hostile.always.get(self.path, Trouble())
        if file is None or trouble.is_unannounced or trouble.status is not None:
            return self._refuse(trouble)
        return self._head(200, {"Content-Length": str(len(file.content))} | trouble.headers)

    def do_GET(self) -> None:
        hostile, request = self.server.hostile, self._note()
        file, trouble = hostile.files.get(self.path), hostile.trouble(self.path)
        if trouble.is_silent:
            hostile.stall()
        if trouble.hangs_up:
            self.close_connection = True
            return None
        if file is None or trouble.status is not None:
            return self._refuse(trouble)
        content = file.content if trouble.content is None else trouble.content
        start = self._start(file, trouble)
        if start is not None and start >= len(content):
            return self._refuse(Trouble(416, {"Content-Range": f"bytes */{len(content)}"}))
        body = content[(start or 0) + trouble.shifted_by :]
        status = 200 if start is None and not trouble.is_partial else 206
        self._head(status, self._headers(file, trouble, content, start, len(body)))
        return self._send(request, body, trouble)

    def _note(self) -> Request:
        get = self.headers.get
        request = Request(self.command, self.path, get("Range"), get("If-Range"), get("Accept-Encoding"))
        self.server.hostile.requests.append(request)
        return request

    def _start(self, file: Published, trouble: Trouble) -> int | None:
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if asked is None or trouble.ignores_range:
            return None
        condition = self.headers.get("If-Range")
        versions = (None, file.headers.get("ETag"), file.headers.get("Last-Modified"))
        return int(asked[1]) if condition in versions or trouble.ignores_version else None

    def _headers(
        self, file: Published, trouble: Trouble, content: bytes, start: int | None, num_bytes: int
    ) -> dict[str, str]:
        headers = dict(file.headers)
        if start is not None:
            first = start + trouble.shifted_by
            headers["Content-Range"] = f"bytes {first}-{len(content) - 1}/{len(content)}"
        if trouble.is_chunked:
            headers["Transfer-Encoding"] = "chunked"
        elif not trouble.is_unannounced:
            headers["Content-Length"] = str(num_bytes if trouble.announced is None else trouble.announced)
        return headers | trouble.headers

    def _head(self, status: int, headers: dict[str, str], reason: str | None = None) -> None:
        self.send_response(status, reason)
        for name, value in (headers | {"Connection": "close"}).items():
            self.send_header(name, value)
        self.end_headers()

    def _refuse(self, trouble: Trouble) -> None:
        self._head(trouble.status or 404, {"Content-Length": "0"} | trouble.headers, trouble.reason)

    def _send(self, request: Request, body: bytes, trouble: Trouble) -> None:
        ends = [end for end in (trouble.drop_after, trouble.stall_after) if end is not None]
        first = body[: min(ends, default=len(body))]
        self._write(request, first, trouble)
        if trouble.stall_after is not None:
            self.server.hostile.stall()
            self._write(request, body[len(first) :], trouble)
        elif trouble.drop_after is not None:
            if trouble.with_reset:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif trouble.is_chunked:
            self.wfile.write(b"0\r\n\r\n")

    def _write(self, request: Request, body: bytes, trouble: Trouble) -> None:
        for offset in range(0, len(body), 1 << 16):
            piece = body[offset : offset + (1 << 16)]
            framed = b"%x\r\n%s\r\n" % (len(piece), piece) if trouble.is_chunked else piece
            self.wfile.write(framed)
            request.num_sent += len(piece)

    def log_message(self, *_: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    hostile: HostileServer
    daemon_threads = True

    def shutdown_request(self, request: socket.socket) -> None:  # type: ignore[override]
        self.close_request(request)  # without a farewell, so that a reset is one

    def handle_error(self, *_: object) -> None:
        pass  # clients that hang up are what is tested here


@contextmanager
def hostile_server() -> Iterator[HostileServer]:
    """Run a server on a free port."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.hostile = HostileServer()
        server.hostile.url = f"http://127.0.0.1:{server.server_address[1]}"
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        try:
            yield server.hostile
        finally:
            server.hostile.released.set()
            server.shutdown()
