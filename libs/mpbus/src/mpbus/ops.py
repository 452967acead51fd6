"""The small HTTP door of services that serve nobody else: liveness, readiness, metrics. Plain asyncio, GET only."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

READS_LEVEL = "reads_level"
"""The fact every service tells in `/readyz`: the newest feature level its build reads (`mpschema.levels`)."""
_REQUEST_SECONDS = 5


@dataclass(frozen=True)
class Health:
    """Whether the service does its work now, and the facts behind it."""

    ready: bool
    facts: dict[str, str | int | float | bool | None] = field(default_factory=dict)


class OpsServer:
    """Serves `/healthz` (the loop turns), `/readyz` (503 until `health` says so) and `/metrics` (Prometheus text)."""

    def __init__(self, host: str, port: int, health: Callable[[], Health]) -> None:
        self._host = host
        self._port = port
        self._health = health
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Begin to listen. Raises `OSError` when the port is taken."""
        self._server = await asyncio.start_server(self._serve, self._host, self._port)

    async def close(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_REQUEST_SECONDS):
                request = await reader.readuntil(b"\r\n\r\n")
                writer.write(self._answer(request.split(b"\r\n", 1)[0]))
                await writer.drain()
        except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
            pass  # A caller that does not finish its request gets no answer.
        finally:
            writer.close()

    def _answer(self, request_line: bytes) -> bytes:
        method, _, rest = request_line.partition(b" ")
        path = rest.partition(b" ")[0].partition(b"?")[0]
        if method != b"GET":
            return _response("405 Method Not Allowed", b"", "text/plain")
        if path == b"/healthz":
            return _response("200 OK", b'{"status":"ok"}', "application/json")
        if path == b"/readyz":
            health = self._health()
            status = "200 OK" if health.ready else "503 Service Unavailable"
            return _response(status, msgspec.json.encode({"ready": health.ready, **health.facts}), "application/json")
        if path == b"/metrics":
            return _response("200 OK", generate_latest(), CONTENT_TYPE_LATEST)
        return _response("404 Not Found", b"", "text/plain")


def _response(status: str, body: bytes, content_type: str) -> bytes:
    head = (
        f"HTTP/1.1 {status}\r\ncontent-type: {content_type}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + body
