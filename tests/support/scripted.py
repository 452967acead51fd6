"""A real HTTP server that answers from a script, one reply a request, and remembers what it was asked."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import msgspec
from mpschema.problems import MEDIA_TYPE, STATUS, TYPE_URN, Problem, title


@dataclass(frozen=True)
class Reply:
    """One answer. `cut`: the connection breaks after the body, before its end is told."""

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    cut: bool = False


@dataclass(frozen=True)
class Asked:
    """One request as it came in."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Endless:
    """An answer in place of a reply: bytes for as long as anybody takes them, with no end of the body told."""

    piece: bytes
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    status: int = 200


@dataclass(frozen=True)
class HangUp:
    """In place of a reply: the connection is closed without one."""


Script = list[Reply | HangUp | Endless]


class ScriptedServer:
    """Answers from its script, whose last reply repeats."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.asked: list[Asked] = []
        self.taken = 0
        """Bytes of endless answers that somebody took, or that lie in buffers of the system."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True

    @property
    def url(self) -> str:
        """The URL it listens at."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def run(self) -> None:
        """Serve until stopped."""
        self._server.serve_forever(poll_interval=0.02)

    def stop(self) -> None:
        """Stop serving and close the socket."""
        self._server.shutdown()
        self._server.server_close()

    def next_reply(self) -> Reply | HangUp | Endless:
        """The reply that is due."""
        return self.script.pop(0) if len(self.script) > 1 else self.script[0]

    def pour(self, handler: BaseHTTPRequestHandler, reply: Endless) -> None:
        """Answer until the client hangs up."""
        handler.send_response(reply.status)
        for name, value in {"Content-Type": reply.content_type, **reply.headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.close_connection = True
        with suppress(OSError):
            while True:
                handler.wfile.write(reply.piece)
                self.taken += len(reply.piece)

    def _handler(script) -> type[BaseHTTPRequestHandler]:  # noqa: N805 - the handler below has a self of its own
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._answer()

            def do_POST(self) -> None:
                self._answer()

            def log_message(self, *_: object) -> None:
                """Tests read `asked` instead."""

            def _answer(self) -> None:
                parts = urlsplit(self.path)
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                script.asked.append(Asked(self.command, parts.path, parse_qs(parts.query), headers, body))
                reply = script.next_reply()
                if isinstance(reply, HangUp):
                    self.close_connection = True
                    return
                if isinstance(reply, Endless):
                    script.pour(self, reply)
                    return
                self.send_response(reply.status)
                for name, value in {"Content-Type": reply.content_type, **reply.headers}.items():
                    self.send_header(name, value)
                # A body that is cut promises more bytes than come.
                self.send_header("Content-Length", str(len(reply.body) + (1 if reply.cut else 0)))
                self.end_headers()
                self.wfile.write(reply.body)
                self.close_connection = self.close_connection or reply.cut

        return Handler


@contextmanager
def scripted(*script: Reply | HangUp | Endless) -> Iterator[ScriptedServer]:
    """A running scripted server."""
    server = ScriptedServer(list(script))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join()


def problem(code: str, detail: str = "because", **headers: str) -> Reply:
    """The reply that carries a problem."""
    status = int(STATUS[code])
    body = Problem(type=TYPE_URN + code, title=title(code), status=status, detail=detail, code=code, trace_id="t1")
    return Reply(status, msgspec.json.encode(body), headers, MEDIA_TYPE)
