"""Serving one client of the event stream: writes of bounded time, heartbeats, a goodbye, and what it may still read."""

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass

import msgspec
from mpschema.rejections import Code

from mpgateway.auth.access import Access
from mpgateway.auth.authenticator import Authenticator
from mpgateway.http import HttpRequest, Receive
from mpgateway.metrics import STREAM_EVENTS, STREAMS, STREAMS_ENDED
from mpgateway.streaming.cursor import Cursor
from mpgateway.streaming.feed import Bye, Delivery, Feed, Resync, Step, Wanted
from mpgateway.streaming.shares import SeatLimits, Seats, Who

PAUSE_SPREAD = 2.0
"""Clients that are sent away together come back apart: each stays away for up to so many times the pause longer."""
CROWDED_SECONDS = 5.0
"""For how long those stay away, at least, for whom there is no room."""
UNREAD_SECONDS = 1.0
"""The time one write may take when its principal lets too many streams lie unread already."""
LOOK_SECONDS = 1.0
"""The pause between two looks at those that wait for their clients: what may no longer be read is not kept for them."""

OVERLOADED = str(Code.OVERLOADED)
_PAST_SECONDS = 0.1
"""A timer may be early by a little, and then nothing has ended yet."""
_DAY_SECONDS = 86_400.0
"""A timer of an event loop does not reach farther than some weeks; a heartbeat notices the rest."""
STALLED = "stalled"
"""A client that took nothing for too long: not even a goodbye gets through to it."""
Write = Callable[[Step], Awaitable[None]]


@dataclass(frozen=True)
class StreamSettings:
    """Longest silence, longest write, and how many at once."""

    heartbeat_seconds: float
    stall_seconds: float
    seats: SeatLimits
    unread_max: int


class ByeData(msgspec.Struct, frozen=True):
    """The data of `event: bye`."""

    reason: str
    retry_ms: int


class ResyncData(msgspec.Struct, frozen=True):
    """The data of `event: resync`."""

    reason: str
    head: str


def retry_ms(pause_seconds: float = 1.0) -> int:
    """After how many milliseconds one client is asked to come back."""
    pause = int(1000 * pause_seconds)
    return pause + secrets.randbelow(int(PAUSE_SPREAD * pause) + 1)


class Clients:
    """All clients of the event streams of this process, whatever their transport."""

    def __init__(self, feed: Feed, access: Access, authenticator: Authenticator, settings: StreamSettings) -> None:
        self.feed = feed
        self._access = access
        self._authenticator = authenticator
        self._settings = settings
        self._seats = Seats(settings.seats)
        self._writing: Counter[str] = Counter()
        self._writes: dict[Subscriber, asyncio.Timeout] = {}
        self._look_at: asyncio.TimerHandle | None = None

    @property
    def count(self) -> int:
        """The number of clients that are served."""
        return self._seats.taken

    def refusal(self, who: Who) -> str | None:
        """Say why somebody cannot have a stream now; None when there is room."""
        return self._seats.refusal(who)

    async def serve(self, client: "Subscriber", transport: str, receive: Receive, write: Write) -> str:
        """Serve one client until it leaves or the stream ends. Returns the reason, as counted."""
        if self.refusal(client.who) is not None:  # Since it was admitted, others came.
            await write(Bye(OVERLOADED, CROWDED_SECONDS))
            STREAMS_ENDED.labels(OVERLOADED).inc()
            return OVERLOADED
        self._seats.take(client.who)
        gauge = STREAMS.labels(transport)
        gauge.inc()
        reason = "left"
        serving = asyncio.current_task()
        assert serving is not None, "a client is served by a task"
        watch = asyncio.create_task(_left(receive, serving))
        expiry = self._at_expiry(client)
        try:
            reason = await self._steps(client, transport, write, watch)
            if watch.done():
                serving.uncancel()
        except TimeoutError:
            client.stuck = True
            reason = self._ended(client) or STALLED
        except asyncio.CancelledError:
            if not (watch.done() and serving.uncancel() == 0):
                raise
        finally:
            watch.cancel()
            if expiry is not None:
                expiry.cancel()
            self._seats.give_back(client.who)
            gauge.dec()
            STREAMS_ENDED.labels(reason).inc()
        return reason

    async def _steps(self, client: "Subscriber", transport: str, write: Write, watch: "asyncio.Task[None]") -> str:
        settings, events = self._settings, STREAM_EVENTS.labels(transport)
        written = time.monotonic()
        async with aclosing(self.feed.follow(client.who, client.wanted, client.after)) as steps:
            async for step in steps:
                if watch.done():  # The cancellation may have been lost on its way (`mpbus.tasks`).
                    return "left"
                now = time.monotonic()
                if (reason := self._ended(client)) is not None:
                    step = Bye(reason)
                # A tick comes twice in a heartbeat: at the second there has been silence for less than one heartbeat.
                idle = now - written < settings.heartbeat_seconds * 0.45
                if isinstance(step, Delivery) and not step.frames and idle and not client.fresh:
                    continue
                client.fresh = False
                await self._write(client, write, step)
                written = now
                if isinstance(step, Delivery):
                    events.inc(len(step.frames))
                else:
                    return "resync" if isinstance(step, Resync) else step.reason
        return "ended"

    async def _write(self, client: "Subscriber", write: Write, step: Step) -> None:
        """Write within a bounded time, which is short for whom already many writes wait.

        Raises `TimeoutError`, also soon after the client may read no more.
        """
        # Only a write that waits for its client is ever seen here by another: the others are done before they can be.
        stall, subject = self._settings.stall_seconds, client.who.subject
        crowd = self._writing[subject] >= self._settings.unread_max
        self._writing[subject] += 1
        try:
            async with asyncio.timeout(min(UNREAD_SECONDS, stall) if crowd else stall) as deadline:
                self._writes[client] = deadline
                if self._look_at is None:
                    self._look_at = asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look)
                await write(step)
        finally:
            self._writes.pop(client, None)
            self._writing[subject] -= 1
            if not self._writing[subject]:
                del self._writing[subject]

    def _look(self) -> None:
        """End the writes to those who may read no more, and look again while somebody writes."""
        loop = asyncio.get_running_loop()
        for client, deadline in self._writes.items():
            if not deadline.expired() and self._ended(client) is not None:
                deadline.reschedule(loop.time())
        self._look_at = loop.call_later(LOOK_SECONDS, self._look) if self._writes else None

    def _ended(self, client: "Subscriber") -> str | None:
        """Say why the client may not go on; None while it may.

        What ends it is in the log, in its workspace: the commit that says so wakes the stream, after it was folded.
        """
        identity = client.request.identity
        if (reason := self._authenticator.ended(identity)) is not None:
            return reason
        return None if self._access.may_enter(identity, client.who.workspace_id) else "denied"

    def _at_expiry(self, client: "Subscriber") -> asyncio.TimerHandle | None:
        """Wakes the stream at the moment its credential expires by itself."""
        expires_at = client.request.identity.expires_at
        if expires_at is None:
            return None
        seconds = min(max(expires_at - time.time(), 0.0) + _PAST_SECONDS, _DAY_SECONDS)
        return asyncio.get_running_loop().call_later(seconds, self.feed.ring.wake, client.who.workspace_id)


@dataclass(eq=False)
class Subscriber:
    """One client: who it is, and what it wants."""

    request: HttpRequest
    who: Who
    wanted: Wanted | None
    after: Cursor | None
    fresh: bool = True
    """Nothing was written yet: the first step is written even if it is empty, so that the client has a cursor."""
    stuck: bool = False
    """It did not take what was written: whatever else is said does not get through to it."""


async def _left(receive: Receive, serving: "asyncio.Task[object]") -> None:
    """Read what the client sends, which is nothing of interest, until it is gone; then stop serving it."""
    while (await receive())["type"] not in ("http.disconnect", "websocket.disconnect"):
        pass
    serving.cancel()
