"""Orders to a bench process and its answers: one JSON object a line each way."""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

import msgspec
import uvloop
from mpservice import telemetry


class Place(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Addresses and credentials of a bench process. Each process reads the fields it needs."""

    nats_url: str = ""
    commands_url: str = ""
    """NATS for who sends commands."""
    stream: str = ""
    postgres_dsn: str = ""
    http_port: int = 0
    api_key: str = ""
    nonce: str = ""
    """Makes the ids of this process its own."""
    own_time: bool = False
    """True if the measured side counts time by itself, as `drain` and `replay` do."""


class Order(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One piece of work: for some seconds with so many in flight, or so many of something."""

    in_flight: int = 1
    seconds: float = 0.0
    count: int = 0
    rate: float = 0.0
    text: str = ""


class Window(msgspec.Struct, kw_only=True):
    """The result of a measured piece of work. Latencies are milliseconds, `marks` are (position, monotonic second)."""

    count: int
    seconds: float
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    refused: int = 0
    bytes: int = 0
    marks: list[tuple[int, float]] = []

    @property
    def per_second(self) -> float:
        """The rate."""
        return self.count / self.seconds


class Work(Protocol):
    """The work of a bench process between its start and its end."""

    async def open(self) -> None:
        """Connect and warm up."""

    async def run(self, order: Order) -> object:
        """One piece of work; the answer is sent back as JSON."""

    async def close(self) -> None:
        """Leave."""


def percentile(ordered: list[float], share: float) -> float:
    """The value below which this share of an ordered list lies; 0 for an empty one."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


def window_of(latencies: list[float], seconds: float, refused: int = 0) -> Window:
    """A window from latencies in seconds."""
    ordered = sorted(latencies)
    p50, p99 = percentile(ordered, 0.5) * 1e3, percentile(ordered, 0.99) * 1e3
    return Window(count=len(ordered), seconds=seconds, p50_ms=p50, p99_ms=p99, refused=refused)


async def closed_loop(order: Order, act: Callable[[int], Awaitable[bool]]) -> Window:
    """Keep `in_flight` slots busy: each acts again as soon as it is answered. `act` says whether it was taken."""
    latencies: list[float] = []
    refused = 0
    began = time.perf_counter()
    end = began + order.seconds

    async def slot(number: int) -> None:
        nonlocal refused
        while (sent := time.perf_counter()) < end:
            if not await act(number):
                refused += 1
            latencies.append(time.perf_counter() - sent)

    await asyncio.gather(*(slot(number) for number in range(order.in_flight)))
    return window_of(latencies, time.perf_counter() - began, refused=refused)


def main(make: Callable[[Place], Work]) -> None:
    """Entry point of a bench process: its place is its first argument, orders come on standard input."""
    telemetry.configure("bench", level="error", style="console")
    uvloop.run(_serve(make(msgspec.json.decode(sys.argv[1], type=Place))))


async def _serve(work: Work) -> None:
    loop = asyncio.get_running_loop()
    await work.open()
    try:
        _answer("ready")
        while line := await loop.run_in_executor(None, sys.stdin.buffer.readline):
            _answer(await work.run(msgspec.json.decode(line, type=Order)))
    finally:
        await work.close()


def _answer(message: object) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(message) + b"\n")
    sys.stdout.buffer.flush()
