"""uvicorn in our process, so that signals and the way down are ours.

On SIGTERM or SIGINT: no new connections, goodbye to every stream, a bounded time for requests in flight, exit code 0.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Any, cast

import structlog
import uvicorn

from mpgateway.proxies import Proxies
from mpgateway.wire.connection import HttpProtocol
from mpgateway.wire.limits import WireLimits, largest_beyond
from mpgateway.wire.socket import SocketProtocol

STREAMS_SECONDS = 2.0
TICKS_PER_LOOK = 5
"""uvicorn ticks ten times a second."""
POLL_SECONDS = 0.02
App = Callable[[Any, Any, Any], Awaitable[None]]
log = structlog.get_logger(__name__)


class GatewayServer(uvicorn.Server):
    """Serves until told to stop; `on_stop` is called first, to say goodbye to streams, and tells how many are left."""

    def __init__(
        self,
        app: App,
        host: str,
        port: int,
        drain_seconds: float,
        trusted_proxies: str = "",
        limits: WireLimits | None = None,
    ) -> None:
        self._limits = limits or WireLimits()
        self.proxies = Proxies(app, trusted_proxies)
        super().__init__(
            uvicorn.Config(
                self.proxies,
                interface="asgi3",
                host=host,
                port=port,
                http=cast("type[asyncio.Protocol]", partial(HttpProtocol, self._limits)),
                ws=cast("type[asyncio.Protocol]", partial(SocketProtocol, self._limits)),
                ws_max_size=64 * 1024,
                loop="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,  # `Proxies` does that.
                backlog=4096,
                timeout_graceful_shutdown=max(1, round(drain_seconds)),
            )
        )

    async def on_tick(self, counter: int) -> bool:
        """Look at every connection now and then."""
        if counter % TICKS_PER_LOOK == 0:
            self._look()
        return await super().on_tick(counter)

    def _look(self) -> None:
        connections, now = list(cast("set[Any]", self.server_state.connections)), asyncio.get_running_loop().time()
        for connection in connections:
            connection.look(now)
        limits = self._limits
        for connection in largest_beyond(connections, _unfinished, limits.unfinished_bytes_max):
            connection.let_go("unfinished")
        for connection in largest_beyond(connections, _unread, limits.unread_bytes_max):
            connection.let_go("unread")

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the process's (`mpservice.lifecycle`), not ours."""
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


def _unfinished(connection: HttpProtocol | SocketProtocol) -> int:
    return connection.unfinished_bytes


def _unread(connection: HttpProtocol | SocketProtocol) -> int:
    return connection.unread_bytes
