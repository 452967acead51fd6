"""Serving one client of the event stream: writes of bounded time, heartbeats, a goodbye, and what it may still read."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass

import msgspec

from mpgateway.auth.access import Access
from mpgateway.auth.authenticator import Authenticator
from mpgateway.auth.oidc import KeysUnavailable
from mpgateway.database import ReadModelsUnavailable
from mpgateway.http import HttpRequest, Receive
from mpgateway.metrics import STREAM_EVENTS, STREAMS, STREAMS_ENDED
from mpgateway.problems import Refused
from mpgateway.streaming.cursor import Cursor
from mpgateway.streaming.feed import Bye, Delivery, Feed, Resync, Step, Wanted

RETRY_MS = 1_000
"""After how many milliseconds a client is asked to come back."""

STALLED = "stalled"
"""A client that took nothing for too long: not even a goodbye gets through to it."""
Write = Callable[[Step], Awaitable[None]]


@dataclass(frozen=True)
class StreamSettings:
    """Longest silence, longest write, time between two checks of what a client may read, and how many at once."""

    heartbeat_seconds: float
    stall_seconds: float
    recheck_seconds: float
    clients_max: int


class ByeData(msgspec.Struct, frozen=True):
    """What `event: bye` says."""

    reason: str
    retry_ms: int = RETRY_MS


class ResyncData(msgspec.Struct, frozen=True):
    """What `event: resync` says."""

    reason: str
    head: str


class Clients:
    """All clients of the event streams of this process, whatever their transport."""

    def __init__(self, feed: Feed, access: Access, authenticator: Authenticator, settings: StreamSettings) -> None:
        self.feed = feed
        self._access = access
        self._authenticator = authenticator
        self._settings = settings
        self.count = 0

    @property
    def full(self) -> bool:
        """Whether there is no room for another client."""
        return self.count >= self._settings.clients_max

    async def serve(self, client: "Client", transport: str, receive: Receive, write: Write) -> str:
        """Serve one client until it leaves or the stream ends. Returns the reason, as counted."""
        self.count += 1
        gauge = STREAMS.labels(transport)
        gauge.inc()
        reason = "left"
        serving = asyncio.current_task()
        assert serving is not None, "a client is served by a task"
        watch = asyncio.create_task(_left(receive, serving))
        try:
            reason = await self._steps(client, transport, write, watch)
            if watch.done():
                serving.uncancel()
        except TimeoutError:
            reason = STALLED
        except asyncio.CancelledError:
            if not (watch.done() and serving.uncancel() == 0):
                raise
        finally:
            watch.cancel()
            self.count -= 1
            gauge.dec()
            STREAMS_ENDED.labels(reason).inc()
        return reason

    async def _steps(self, client: "Client", transport: str, write: Write, watch: "asyncio.Task[None]") -> str:
        settings, events = self._settings, STREAM_EVENTS.labels(transport)
        written = checked = time.monotonic()
        async with aclosing(self.feed.follow(client.workspace_id, client.wanted, client.after)) as steps:
            async for step in steps:
                if watch.done():  # The cancellation may have been lost on its way (`mpbus.tasks`).
                    return "left"
                now = time.monotonic()
                if now - checked > settings.recheck_seconds:
                    checked = now
                    if (reason := await self._recheck(client)) is not None:
                        step = Bye(reason)
                # A tick comes twice in a heartbeat: at the second there has been silence for less than one heartbeat.
                idle = now - written < settings.heartbeat_seconds * 0.45
                if isinstance(step, Delivery) and not step.frames and idle and not client.fresh:
                    continue
                client.fresh = False
                async with asyncio.timeout(settings.stall_seconds):
                    await write(step)
                written = now
                if isinstance(step, Delivery):
                    events.inc(len(step.frames))
                else:
                    return "resync" if isinstance(step, Resync) else step.reason
        return "ended"

    async def _recheck(self, client: "Client") -> str | None:
        """Why the client may not go on; None while it may. Doubt about the world is no reason."""
        try:
            identity = await self._authenticator.authenticate(client.request)
            await self._access.check_read(identity, client.workspace_id)
        except Refused as refused:
            return str(refused.code)
        except (ReadModelsUnavailable, KeysUnavailable):
            return None
        return None


@dataclass
class Client:
    """One client: who it is, and what it wants."""

    request: HttpRequest
    workspace_id: str
    wanted: Wanted | None
    after: Cursor | None
    fresh: bool = True
    """Nothing was written yet: the first step is written even if it is empty, so that the client has a cursor."""


async def _left(receive: Receive, serving: "asyncio.Task[object]") -> None:
    """Read what the client sends, which is nothing of interest, until it is gone; then stop serving it."""
    while (await receive())["type"] not in ("http.disconnect", "websocket.disconnect"):
        pass
    serving.cancel()
