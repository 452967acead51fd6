"""Bounds on the bytes and the time of what is read from a server.

The peer may be no server of ours, or a faulty one. An answer has a maximum of bytes and of time, and an event of a
stream a maximum of bytes. Data beyond a bound ends with `UnexpectedAnswer` while it is read, and is never kept as a
whole. Bodies are requested without compression: a compressed body would be bounded only before it is decompressed.
"""

import itertools
import re
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any, cast

import httpx

from mpclient.errors import UnexpectedAnswer
from mpclient.frames import STREAM_TYPE

ANSWER_BYTES_MAX = 64 << 20
"""The bound of an answer: above a page of the largest rows."""
ANSWER_SECONDS_MAX = 300.0
EVENT_BYTES_MAX = 16 << 20
"""The bound of one event of a stream: a commit of the log has half of it."""
_EVENT_END = re.compile(rb"\n\n|\r\r|\n\r\n")
_END_BYTES_MAX = 3


class Whole:
    """The measure of an answer that is kept as a whole."""

    def __init__(self) -> None:
        self._bytes = 0
        self._until = time.monotonic() + ANSWER_SECONDS_MAX

    def take(self, piece: bytes) -> None:
        """Count one more piece. Raises `UnexpectedAnswer`, or `httpx.ReadTimeout`, which is worth another attempt."""
        self._bytes += len(piece)
        if self._bytes > ANSWER_BYTES_MAX:
            raise UnexpectedAnswer(f"the answer is longer than {ANSWER_BYTES_MAX} bytes: no answer of ours is")
        if time.monotonic() > self._until:
            raise httpx.ReadTimeout(f"the answer was not whole within {ANSWER_SECONDS_MAX:g} s")


class Events:
    """The measure of a stream, of which one event at a time is kept."""

    def __init__(self) -> None:
        self._bytes = 0
        self._tail = b""

    def take(self, piece: bytes) -> None:
        """Count one more piece. Raises `UnexpectedAnswer`."""
        joined = self._tail + piece  # An event may end between two pieces.
        ends = [found.end() for found in _EVENT_END.finditer(joined)]
        edges = [0, *ends, len(joined)]
        longest = max(after - before for before, after in itertools.pairwise(edges))
        if max(longest, self._bytes + edges[1]) > EVENT_BYTES_MAX:
            raise UnexpectedAnswer(f"an event of the stream is longer than {EVENT_BYTES_MAX} bytes: none of ours is")
        self._tail = joined[max(edges[-2], len(joined) - _END_BYTES_MAX) :]
        rest = len(joined) - edges[-2] - len(self._tail)
        self._bytes = rest if ends else self._bytes + rest


class _Bounded(httpx.AsyncByteStream, httpx.SyncByteStream):
    """A body that is measured as it comes."""

    def __init__(self, body: httpx.AsyncByteStream | httpx.SyncByteStream, measure: Whole | Events) -> None:
        self._body = body
        self._measure = measure

    def __iter__(self) -> Iterator[bytes]:
        for piece in cast(httpx.SyncByteStream, self._body):
            self._measure.take(piece)
            yield piece

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in cast(httpx.AsyncByteStream, self._body):
            self._measure.take(piece)
            yield piece

    def close(self) -> None:
        """Close the body."""
        cast(httpx.SyncByteStream, self._body).close()

    async def aclose(self) -> None:
        """Close the body."""
        await cast(httpx.AsyncByteStream, self._body).aclose()


def bound(response: httpx.Response) -> None:
    """Measure the body of a response from now on. Raises `UnexpectedAnswer` for a compressed one."""
    packed = response.headers.get("content-encoding", "identity")
    if packed != "identity":
        raise UnexpectedAnswer(f"the answer is packed ({packed[:40]}), which nobody asked for")
    streams = response.is_success and response.headers.get("content-type", "").startswith(STREAM_TYPE)
    response.stream = _Bounded(response.stream, Events() if streams else Whole())


async def _bound(response: httpx.Response) -> None:
    bound(response)


_HEADERS = {"Accept-Encoding": "identity"}


def bounded() -> dict[str, Any]:
    """The arguments of an `httpx.Client` that reads no more than this."""
    return {"headers": _HEADERS, "event_hooks": {"response": [bound]}}


def bounded_async() -> dict[str, Any]:
    """The arguments of an `httpx.AsyncClient` that reads no more than this."""
    return {"headers": _HEADERS, "event_hooks": {"response": [_bound]}}
