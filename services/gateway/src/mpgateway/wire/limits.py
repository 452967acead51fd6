"""The bounds of a connection, and who is let go when all connections together hold too much."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

MIB = 1 << 20
NEVER = math.inf
Held = TypeVar("Held")


@dataclass(frozen=True, slots=True)
class WireLimits:
    """The memory and time that one connection may take, and all of them together."""

    head_bytes_max: int = 64 * 1024
    """Of a request line with its headers; of chunk extensions and trailers beyond their share of a body, too."""
    head_seconds: float = 10.0
    """From the first byte of a request (or the connection) to the end of its headers."""
    body_seconds: float = 30.0
    """From the end of the headers to the end of the body."""
    body_idle_seconds: float = 10.0
    """The time in which no byte of a body may come."""
    keep_alive_seconds: float = 75.0
    """The time a connection may wait for its next request."""
    answer_seconds: float = 60.0
    """The time a client may take to read what was written to it."""
    linger_seconds: float = 5.0
    """The time a connection that is about to close still takes bytes, so that its client can read the answer."""
    pipelined_max: int = 16
    """The number of requests that may wait behind the one that is being answered."""
    connections_max: int = 16_384
    """The number of connections that may be open."""
    unfinished_bytes_max: int = 64 * MIB
    """The bytes that all requests that are not complete may hold; the largest are let go first."""
    unread_bytes_max: int = 256 * MIB
    """The bytes that all answers that nobody reads may hold; the largest are let go first."""


def largest_beyond(holders: Iterable[Held], bytes_of: Callable[[Held], int], bytes_max: int) -> list[Held]:
    """Those to let go, the largest first, so that the others hold no more than `bytes_max` together."""
    held = [(bytes_of(holder), holder) for holder in holders]
    total = sum(size for size, _ in held)
    if total <= bytes_max:
        return []
    gone: list[Held] = []
    for size, holder in sorted(held, key=lambda pair: pair[0], reverse=True):
        if total <= bytes_max:
            break
        total -= size
        gone.append(holder)
    return gone
