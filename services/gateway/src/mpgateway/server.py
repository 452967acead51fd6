"""uvicorn in our process, so that signals and the way down are ours.

On SIGTERM or SIGINT: no new connections, goodbye to every stream, a bounded time for requests in flight, exit code 0.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator

import structlog
import uvicorn
from litestar import Litestar
from mpschema.problems import EdgeCode
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from mpgateway.problems import Refused, answer_of

HEADER_BYTES_MAX = 64 * 1024
STREAMS_SECONDS = 2.0
POLL_SECONDS = 0.02
log = structlog.get_logger(__name__)


class HttpProtocol(HttpToolsProtocol):
    """uvicorn's HTTP with a bound on headers, problems for its own texts, and a way to cut a stalled client off."""

    header_seconds = 10.0
    """How long a new connection may take to say what it wants."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """A new connection: it is closed unless the headers of a request come in time."""
        super().connection_made(transport)
        self._too_late = self.loop.call_later(self.header_seconds, transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._too_late.cancel()
        super().connection_lost(exc)

    def on_headers_complete(self) -> None:
        """A request is there."""
        self._too_late.cancel()
        super().on_headers_complete()

    def on_message_begin(self) -> None:
        """A new request: count its bytes from zero."""
        super().on_message_begin()
        self._header_bytes = 0
        self.scope["extensions"] = {"mp.abort": {"abort": self.transport.abort}}

    def on_url(self, url: bytes) -> None:
        """More of the path and query."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header."""
        self._count(len(name) + len(value))
        super().on_header(name, value)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's own words are for its log
        """Answer what is not HTTP, or more than we take of it."""
        detail = "the request is not HTTP, or its path and headers are larger than 64 KiB"
        answer = answer_of(Refused(EdgeCode.MALFORMED, detail), "")
        head = [b"HTTP/1.1 400 Bad Request", b"connection: close", b"content-length: %d" % len(answer.body)]
        head += [name + b": " + value for name, value in answer.headers]
        self.transport.write(b"\r\n".join([*head, b"", answer.body]))
        self.transport.close()

    def _count(self, more: int) -> None:
        self._header_bytes += more
        if self._header_bytes > HEADER_BYTES_MAX:
            raise ValueError("the path and headers are too large")


class Server(uvicorn.Server):
    """Serves until told to stop; `on_stop` is called first, to say goodbye to streams, and tells how many are left."""

    def __init__(self, app: Litestar, host: str, port: int, drain_seconds: float, trusted_proxies: str = "") -> None:
        super().__init__(
            uvicorn.Config(
                app,
                host=host,
                port=port,
                http=HttpProtocol,
                ws="websockets-sansio",
                ws_max_size=64 * 1024,
                loop="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=bool(trusted_proxies),
                forwarded_allow_ips=trusted_proxies,
                backlog=4096,
                timeout_keep_alive=75,
                timeout_graceful_shutdown=max(1, round(drain_seconds)),
            )
        )

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the process's (`mpbus.lifecycle`), not ours."""
        yield

    async def serve_until_told(
        self, told: asyncio.Event, on_stop: Callable[[], None], streams: Callable[[], int]
    ) -> None:
        """Serve until told to stop, then go down in order."""
        serving = asyncio.create_task(self.serve())
        waiting = asyncio.create_task(told.wait())
        await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if not serving.done():
            log.info("gateway.stopping", streams=streams())
            for server in self.servers:
                server.close()
            on_stop()
            await self._wait_for_streams(streams)
            self.should_exit = True
        await serving

    async def _wait_for_streams(self, streams: Callable[[], int]) -> None:
        deadline = time.monotonic() + STREAMS_SECONDS
        while streams() and time.monotonic() < deadline:  # noqa: ASYNC110 - they end one by one, each in its own task
            await asyncio.sleep(POLL_SECONDS)
