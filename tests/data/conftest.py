"""A web server in a thread, which misbehaves on request."""

import hashlib
import socket
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from graphseq.data import download


@dataclass
class Web:
    """Files that are served, and how."""

    files: dict[str, bytes] = field(default_factory=dict)
    resumes: bool = True
    etag: bool = True  # sends an ETag
    page: bool = False  # claims to be a web page
    measured: bool = True  # sends a Content-Length
    cuts: list[int] = field(default_factory=list)  # bytes sent, one a request
    odd: list[tuple[int, dict[str, str], bytes]] = field(default_factory=list)
    hangs: bool = False  # a cut is silence, not an end
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    address: str = ""
    closing: threading.Event = field(default_factory=threading.Event)

    def url(self, path: str) -> str:
        return f"{self.address}/{path}"

    @property
    def ranges(self) -> list[str | None]:
        return [wanted for _, wanted in self.requests]


class Server(ThreadingHTTPServer):
    """Says nothing about clients that hang up."""

    def handle_error(self, *request: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(*request)


def answer(web: Web, request: BaseHTTPRequestHandler) -> None:
    wanted = request.headers.get("Range")
    web.requests.append((request.path, wanted))
    if web.odd:
        status, headers, body = web.odd.pop(0)
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(body)
        request.close_connection = True
        return
    data = web.files.get(request.path.lstrip("/"))
    if data is None:
        request.send_error(404)
        return
    mark = f'"{hashlib.md5(data).hexdigest()}"'
    start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
    if not web.resumes or request.headers.get("If-Range", mark) != mark:
        start = 0
    if start >= len(data) > 0:
        request.send_response(416)
        request.send_header("Content-Range", f"bytes */{len(data)}")
        request.send_header("Content-Length", "0")
        request.end_headers()
        return
    request.send_response(206 if start else 200)
    if start:
        place = f"bytes {start}-{len(data) - 1}/{len(data)}"
        request.send_header("Content-Range", place)
    if web.etag:
        request.send_header("ETag", mark)
    if web.measured:
        request.send_header("Content-Length", str(len(data) - start))
    kind = "text/html; charset=utf-8" if web.page else "application/octet-stream"
    request.send_header("Content-Type", kind)
    request.end_headers()
    if not web.cuts:
        request.wfile.write(data[start:])
        return
    request.wfile.write(data[start : start + web.cuts.pop(0)])
    request.wfile.flush()
    if web.hangs:
        web.closing.wait(10)
    request.connection.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    """A server on this machine; a client does not pause before it tries again."""
    found = Web()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(found, self)

        def log_message(self, *words: object) -> None:
            pass

    monkeypatch.setattr(download, "PAUSE", 0.0)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    found.address = f"http://127.0.0.1:{server.server_port}"
    yield found
    found.closing.set()
    server.shutdown()
    server.server_close()
    thread.join()
