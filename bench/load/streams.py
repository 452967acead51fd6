"""A thousand clients of an event stream in one process: they count what arrives, and how old it is.

Every event carries the moment at which it was sent, after `MARK`, in nanoseconds of the monotonic clock.
"""

import asyncio
import re
import time
from typing import cast

import msgspec

from bench.load.orders import Order, Place, Window, main, window_of

MARK = b"sent-at-ns="
_MARKED = re.compile(MARK + rb"(\d+)")
_HEAD_END = b"\r\n\r\n"
_FRAME_END = b"\n\n"
_OPENING_MAX = 50
_ARRIVAL_SECONDS_MAX = 300.0


class Watched(msgspec.Struct, kw_only=True):
    """The view of the clients: the window, the fewest and most events of one client, and one frame as it came."""

    window: Window
    fewest: int
    most: int
    frame: str


class Stream(asyncio.Protocol):
    """One client. It reads whole frames, and counts the marked ones."""

    def __init__(self, watch: "Watch", request: bytes) -> None:
        self._watch = watch
        self._request = request
        self._rest = b""
        self._transport: asyncio.Transport | None = None
        self.begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.count = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the stream."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Bytes of the stream."""
        data = self._rest + data
        if not self.begun.done():
            head, found, data = data.partition(_HEAD_END)
            if not found:
                self._rest = head
                return
            assert head.startswith(b"HTTP/1.1 200"), head.decode(errors="replace")
            self.begun.set_result(None)
        end = data.rfind(_FRAME_END) + len(_FRAME_END)
        if end < len(_FRAME_END):
            self._rest = data
            return
        self._rest = data[end:]
        self._watch.take(self, data[:end])

    def connection_lost(self, exc: Exception | None) -> None:
        """The server left, or we did."""
        self._watch.lost(exc)

    def close(self) -> None:
        """Leave."""
        if self._transport is not None:
            self._transport.close()


class Watch:
    """The progress of all clients together, until each has had so many events."""

    def __init__(self) -> None:
        self.streams: list[Stream] = []
        self.closing = False
        self._expect(0, timed=False)

    def _expect(self, events: int, *, timed: bool) -> None:
        self._events = events
        self._timed = timed
        self._missing = len(self.streams)
        self._latencies: list[float] = []
        self._first_at = self._last_at = 0.0
        self._sample = b""
        self.complete: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        for stream in self.streams:
            stream.count = 0

    def take(self, stream: Stream, frames: bytes) -> None:
        """Whole frames of one client."""
        marked = frames.count(MARK)
        if not marked:
            return
        self._last_at = time.monotonic()
        if not self._first_at:
            self._first_at, self._sample = self._last_at, frames
        if self._timed:
            now = time.monotonic_ns()
            self._latencies += [(now - int(sent)) / 1e9 for sent in _MARKED.findall(frames)]
        before, stream.count = stream.count, stream.count + marked
        if before < self._events <= stream.count:
            self._missing -= 1
            if self._missing == 0 and not self.complete.done():
                self.complete.set_result(None)

    def lost(self, error: Exception | None) -> None:
        """A client was left alone by its server."""
        if not self.closing and not self.complete.done():
            self.complete.set_exception(ConnectionError(f"a stream ended: {error}"))

    async def watch(self, events: int, *, timed: bool) -> Watched:
        """Wait until each client has had so many events."""
        self._expect(events, timed=timed)
        async with asyncio.timeout(_ARRIVAL_SECONDS_MAX):
            await self.complete
        counts = [stream.count for stream in self.streams]
        window = window_of(self._latencies, self._last_at - self._first_at)
        window.count = sum(counts)
        frame = self._sample[: self._sample.index(_FRAME_END, self._sample.index(MARK))]
        return Watched(window=window, fewest=min(counts), most=max(counts), frame=_whole(frame))


class Streams:
    """Opens its clients at first; each order waits for `count` events, with their age where `seconds` are given."""

    def __init__(self, place: Place) -> None:
        self._place = place

    async def open(self) -> None:
        """Nothing yet: the first order says how many clients there are."""
        self._watch = Watch()

    async def run(self, order: Order) -> Watched | Window:
        """Open `in_flight` clients, or watch."""
        if order.text == "open":
            return await self._open(order.in_flight)
        return await self._watch.watch(order.count, timed=order.seconds > 0)

    async def close(self) -> None:
        """Leave."""
        self._watch.closing = True
        for stream in self._watch.streams:
            stream.close()

    async def _open(self, clients: int) -> Window:
        began = time.perf_counter()
        loop = asyncio.get_running_loop()
        request = (
            "GET /v1/workspaces/acme/events HTTP/1.1\r\nhost: bench\r\naccept: text/event-stream\r\n"
            f"authorization: Bearer {self._place.api_key}\r\n\r\n"
        ).encode()
        for start in range(0, clients, _OPENING_MAX):
            made = [
                await loop.create_connection(lambda: Stream(self._watch, request), "127.0.0.1", self._place.http_port)
                for _ in range(min(_OPENING_MAX, clients - start))
            ]
            self._watch.streams += [stream for _, stream in made]
            await asyncio.gather(*(stream.begun for _, stream in made))
        return Window(count=clients, seconds=time.perf_counter() - began)


def _whole(frame: bytes) -> str:
    """A frame from its first field on, without what chunked transfer put before it."""
    starts = [
        place for place in (frame.rfind(b"\nid:"), frame.rfind(b"\nevent:"), frame.rfind(b"\ndata:")) if place >= 0
    ]
    return frame[min(starts) + 1 :].decode() + "\n\n"


if __name__ == "__main__":
    main(Streams)
