"""An endpoint on this machine: it remembers what it was sent, and answers as a test wants it to."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from mpd.ports import HOST, free_port


@dataclass(frozen=True)
class Received:
    """One request: its headers and body, and what was answered."""

    headers: Mapping[str, str]
    body: bytes
    path: str
    status: int

    @property
    def id(self) -> str:
        """The id by which an endpoint recognises repeats."""
        return self.headers["webhook-id"]

    @property
    def event(self) -> dict[str, Any]:
        """The CloudEvent."""
        return dict(json.loads(self.body))

    @property
    def key(self) -> str:
        """The aggregate it is about."""
        return str(self.event["subject"])

    def is_signed_with(self, secret: str) -> bool:
        """Tell whether one of its signatures is that of Standard Webhooks under this secret. Uses no code of ours."""
        key = base64.b64decode(secret.removeprefix("whsec_"))
        signed = f"{self.id}.{self.headers['webhook-timestamp']}.".encode() + self.body
        wanted = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        return wanted in self.headers["webhook-signature"].split(" ")


@dataclass
class Reply:
    """One answer of the endpoint."""

    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A sender that was killed, or had heard enough, is nothing to tell."""


class Receiver:
    """Serves on a port of its own while it is open. `reply` decides, told key and how often that event came before."""

    def __init__(self) -> None:
        self.requests: list[Received] = []
        self.reply: Callable[[str, int], Reply] = lambda _key, _before: Reply()
        self._lock = threading.Lock()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                receiver._receive(self)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = _Server((HOST, free_port()), Handler)
        self._thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def url(self) -> str:
        """The address of the endpoint."""
        return f"http://{HOST}:{self.server.server_port}/hook"

    def heard(self) -> list[Received]:
        """Return the requests that it accepted, in order."""
        with self._lock:
            return [request for request in self.requests if 200 <= request.status < 300]

    def __enter__(self) -> Receiver:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    def _receive(self, handler: BaseHTTPRequestHandler) -> None:
        length = int(handler.headers["content-length"])
        body = handler.rfile.read(length)
        if len(body) < length:  # Its sender was killed: nothing came.
            handler.close_connection = True
            return
        headers = {name.lower(): value for name, value in handler.headers.items()}
        key = str(json.loads(body).get("subject", "")) if body else ""
        with self._lock:
            before = sum(request.headers.get("webhook-id") == headers.get("webhook-id") for request in self.requests)
        reply = self.reply(key, before)
        with self._lock:
            self.requests.append(Received(headers, body, handler.path, reply.status))
        handler.send_response(reply.status)
        for name, value in reply.headers.items():
            handler.send_header(name, value)
        handler.send_header("content-length", str(len(reply.body)))
        handler.end_headers()
        handler.wfile.write(reply.body)
