"""The event stream, followed for ever: through lost connections and restarts, each event once and in order.

`Follower` holds what is decided: where the stream stands, what each server-sent event means, how long to wait before
the next connection. `follow` and `follow_sync` connect and wait.
"""

import asyncio
import re
import time
from collections.abc import AsyncGenerator, Generator, Mapping
from typing import Any

import httpx
import msgspec
from mpschema.api import POSITION_HEADER
from mpschema.cloudevents import CloudEvent

from mpclient.errors import ResyncRequired, UnexpectedAnswer
from mpclient.frames import STREAM_TYPE, Frames, ServerSentEvent
from mpclient.transport import (
    AsyncTransport,
    Call,
    Retries,
    SyncTransport,
    decoded,
    problem_error,
    request_of,
    retry_after,
    unreachable,
)

SILENCE_SECONDS = 45.0
"""The silence after which a connection is given up; the server sends something every 15 s."""
ASKED_SECONDS_MAX = 300.0
"""The longest pause before the next attempt, even if the server asks for a longer one."""
_PASSING = {408, 425, 429}
_POSITION = re.compile(r"([0-9]{1,20}):([0-9]{1,20})")


class _Bye(msgspec.Struct):
    reason: str
    retry_ms: int = 0


class _Resync(msgspec.Struct):
    reason: str
    head: str


class Follower:
    """The position of one stream. `retries` bounds the first connection; a stream that has begun never gives up."""

    def __init__(self, call: Call, after: str | None, retries: Retries) -> None:
        self._call = call
        self._retries = retries
        self.position = after
        """`EPOCH:SEQ` of the last event seen; None until it is known where the stream begins."""
        self.leaving = False
        """True once the server has announced the end of this connection."""
        self._begun = False
        self._failures = 0
        self._asked_pause: float | None = None

    def next_call(self) -> Call:
        """The call of the next connection: it goes on where this stream stands."""
        self.leaving = False
        headers: Mapping[str, str] = {"Last-Event-ID": self.position} if self.position else {}
        return Call("GET", self._call.path, self._call.params, {**self._call.headers, **headers})

    def begun(self, response: httpx.Response) -> None:
        """A connection was accepted."""
        self._begun = True
        self._advance(response.headers.get(POSITION_HEADER, ""))

    def refused(self, response: httpx.Response) -> None:
        """A connection was refused. Raises `ProblemError` where trying again is pointless."""
        passing = response.status_code >= 500 or response.status_code in _PASSING
        self._asked_pause = retry_after(response)
        self._fail(problem_error(response), fatal=not passing)

    def lost(self, error: httpx.TransportError) -> None:
        """A connection broke or was not made. Raises `Unreachable` where the stream never began."""
        self._fail(unreachable(error), fatal=False)

    def ended(self) -> None:
        """A connection ended in order; without a goodbye that is as if it broke."""
        if not self.leaving:
            self._failures += 1

    def take(self, sse: ServerSentEvent) -> CloudEvent | None:
        """The new event a server-sent event carries, if any. Raises `ResyncRequired`."""
        if sse.event == "resync":
            resync = decoded(sse.data.encode(), _Resync)
            raise ResyncRequired(resync.reason, resync.head)
        if sse.event == "bye":
            self.leaving = True
            self._asked_pause = decoded(sse.data.encode(), _Bye).retry_ms / 1000
            return None
        if sse.id:
            self._failures = 0
        if not self._advance(sse.id) or not sse.data:
            return None  # Seen before, or a comment that tells how far the log is.
        return decoded(sse.data.encode(), CloudEvent)

    def pause(self) -> float:
        """Seconds until the next connection: what the server asked, else longer with each failure in a row."""
        asked, self._asked_pause = self._asked_pause, None
        # Clients of a server that restarts come back spread out, not all at once.
        return min(max(0.0, asked or 0.0), ASKED_SECONDS_MAX) + self._retries.jitter(self._failures)

    def _advance(self, position: str) -> bool:
        """Move to a position, and tell whether it lies after the previous one."""
        if not position:
            return False
        ahead = self.position is None or place_of(position)[1] > place_of(self.position)[1]
        if ahead:
            self.position = position
        return ahead

    def _fail(self, error: Exception, *, fatal: bool) -> None:
        self._failures += 1
        if fatal or not (self._begun or self._failures < self._retries.attempts_max):
            raise error


def place_of(position: str) -> tuple[int, int]:
    """Epoch and position of `EPOCH:SEQ`. Raises `UnexpectedAnswer`."""
    found = _POSITION.fullmatch(position)
    if found is None:
        raise UnexpectedAnswer(f"{position[:60]!r} is no position EPOCH:SEQ")
    return int(found[1]), int(found[2])


def _request(transport: AsyncTransport | SyncTransport, follower: Follower) -> dict[str, Any]:
    timeout = httpx.Timeout(SILENCE_SECONDS, connect=10.0)
    return request_of(follower.next_call(), transport.token) | {"timeout": timeout}


def _begin(response: httpx.Response) -> Frames:
    """Return the reader of a stream. Raises `UnexpectedAnswer` for an answer that is none."""
    content_type = response.headers.get("content-type", "").partition(";")[0]
    if content_type.strip() != STREAM_TYPE:
        raise UnexpectedAnswer(f"the answer is {content_type[:60]!r}: no stream ({STREAM_TYPE})")
    return Frames()


async def _frames(response: httpx.Response) -> AsyncGenerator[ServerSentEvent, None]:
    frames = _begin(response)
    async for piece in response.aiter_text():
        for frame in frames.take(piece):
            yield frame
    for frame in frames.end():
        yield frame


def _frames_sync(response: httpx.Response) -> Generator[ServerSentEvent, None, None]:
    frames = _begin(response)
    for piece in response.iter_text():
        yield from frames.take(piece)
    yield from frames.end()


async def follow(transport: AsyncTransport, follower: Follower) -> AsyncGenerator[CloudEvent, None]:
    """Every event from where the follower stands, for ever. Raises `ResyncRequired`, `ProblemError`, `Unreachable`."""
    while True:
        try:
            async with transport.http.stream(**_request(transport, follower)) as response:
                if not response.is_success:
                    await response.aread()
                    follower.refused(response)
                else:
                    follower.begun(response)
                    async for sse in _frames(response):
                        event = follower.take(sse)
                        if event is not None:
                            yield event
                        if follower.leaving:
                            break
                    follower.ended()
        except httpx.TransportError as error:
            follower.lost(error)
        await asyncio.sleep(follower.pause())


def follow_sync(transport: SyncTransport, follower: Follower) -> Generator[CloudEvent, None, None]:
    """The same for programs without an event loop."""
    while True:
        try:
            with transport.http.stream(**_request(transport, follower)) as response:
                if not response.is_success:
                    response.read()
                    follower.refused(response)
                else:
                    follower.begun(response)
                    for sse in _frames_sync(response):
                        event = follower.take(sse)
                        if event is not None:
                            yield event
                        if follower.leaving:
                            break
                    follower.ended()
        except httpx.TransportError as error:
            follower.lost(error)
        time.sleep(follower.pause())
