"""The small HTTP endpoint for operators: liveness, readiness, metrics. Plain asyncio, GET only."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

READS_LEVEL = "reads_level"
"""The fact that every service reports in `/readyz`: the newest feature level its build reads (`mpschema.levels`)."""
_REQUEST_SECONDS = 5
CONNECTIONS_MAX = 128
"""Connections at once. Who comes last is let in, and the oldest is cut: nobody keeps out whoever looks after us."""


@dataclass(frozen=True)
class ServiceHealth:
    """The state of a service: does it do its work now, and the facts behind that."""

    ready: bool
    facts: dict[str, str | int | float | bool | None] = field(default_factory=dict)
    stuck: str = ""
    """The reason why only a restart can help: there is work and all it needs, and nothing of it is done."""
    concerns: tuple[str, ...] = ()
    """Things that somebody should see to, though the service does its work: a sentence each."""


class Progress:
    """Progress of work while there is some.

    Nobody stalls who has nothing to do, or waits for what is away.
    """

    def __init__(self, stall_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._stall_seconds = stall_seconds
        self._clock = clock
        self._done = 0
        self._moved_at = clock()

    def saw(self, done: int, due: int) -> None:
        """Record the work done, out of the work due."""
        if done != self._done or done >= due:
            self._moved_at = self._clock()
        self._done = done

    def excused(self) -> None:
        """Restart the measure of time, because a dependency is away."""
        self._moved_at = self._clock()

    @property
    def stalled(self) -> bool:
        """True when nothing was done for too long."""
        return self._clock() - self._moved_at > self._stall_seconds


class OpsServer:
    """A server of `/healthz`, `/readyz` (503 until `health` says so) and `/metrics` (Prometheus text).

    `/healthz` is for whoever restarts: 503 when the service is stuck. It is no reason to restart that a server is away.
    """

    def __init__(self, host: str, port: int, health: Callable[[], ServiceHealth]) -> None:
        self._host = host
        self._port = port
        self._health = health
        self._server: asyncio.Server | None = None
        self._open: dict[asyncio.StreamWriter, None] = {}

    async def start(self) -> None:
        """Begin to listen. Raises `OSError` when the port is taken."""
        self._server = await asyncio.start_server(self._serve, self._host, self._port)

    async def close(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._let_in(writer)
        try:
            async with asyncio.timeout(_REQUEST_SECONDS):
                request = await reader.readuntil(b"\r\n\r\n")
                writer.write(self._answer(request.split(b"\r\n", 1)[0]))
                await writer.drain()
        except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
            writer.transport.abort()  # Who does not finish its request, or does not read, keeps nothing here.
        finally:
            self._open.pop(writer, None)
            writer.close()

    def _let_in(self, writer: asyncio.StreamWriter) -> None:
        while len(self._open) >= CONNECTIONS_MAX:
            oldest = next(iter(self._open))
            del self._open[oldest]
            oldest.transport.abort()
        self._open[writer] = None

    def _answer(self, request_line: bytes) -> bytes:
        method, _, rest = request_line.partition(b" ")
        path = rest.partition(b" ")[0].partition(b"?")[0]
        if method != b"GET":
            return _response("405 Method Not Allowed", b"", "text/plain")
        if path == b"/healthz":
            stuck = self._health().stuck
            if not stuck:
                return _response("200 OK", b'{"status":"ok"}', "application/json")
            body = msgspec.json.encode({"status": "stuck", "reason": stuck})
            return _response("503 Service Unavailable", body, "application/json")
        if path == b"/readyz":
            health = self._health()
            status = "200 OK" if health.ready else "503 Service Unavailable"
            return _response(status, _told(health), "application/json")
        if path == b"/metrics":
            return _response("200 OK", generate_latest(), CONTENT_TYPE_LATEST)
        return _response("404 Not Found", b"", "text/plain")


def _told(health: ServiceHealth) -> bytes:
    concerns = {"concerns": list(health.concerns)} if health.concerns else {}
    return msgspec.json.encode({"ready": health.ready, **health.facts, **concerns})


def _response(status: str, body: bytes, content_type: str) -> bytes:
    head = (
        f"HTTP/1.1 {status}\r\ncontent-type: {content_type}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + body
