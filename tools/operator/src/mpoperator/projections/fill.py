"""One stretch of the log into some builds: in this process, or in one beside it.

A process beside this one is told on standard input what to fill, and says on standard output how far it is, in lines of
JSON. It ends when its input does: so it never outlives whoever started it.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import math
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence

import msgspec
from mpbus.reader import LogPosition, LogReader
from mpprojector import rebuild
from mpstore.readmodels import ProjectionLease
from mpstore.readmodels.model import PostgresReadModel
from mpviews import VIEWS

from mpoperator.errors import NotConfigured, ServerGone, ToolError, ToolRefused
from mpoperator.run import fast_loop, say_nothing
from mpoperator.site.connections import bus
from mpoperator.site.settings import read_settings

_TELL_SECONDS = 0.1
_FAILURES: dict[str, type[ToolError]] = {kind.__name__: kind for kind in (ToolRefused, NotConfigured, ServerGone)}


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """The order to fill: owned builds, from where each stands to one event."""

    leases: list[ProjectionLease]
    until: int
    events_per_second: float | None = None
    """None: as fast as it goes."""


class FillProgress(msgspec.Struct, frozen=True, kw_only=True):
    """The progress of one build: what stands here is written."""

    name: str
    position: LogPosition
    error: str | None = None
    """The reason why it halted."""
    deposed: bool = False
    """True where somebody else owns it now."""


class _Said(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A line from beside: how far it is, or how it failed."""

    standings: list[FillProgress] = []
    failure: str | None = None
    detail: str = ""


Told = Callable[[Sequence[FillProgress]], None]
_said = msgspec.json.Decoder(_Said)
_order = msgspec.json.Decoder(Order)


async def fill_here(reader: LogReader, dsn: str, order: Order, told: Told) -> None:
    """Fill, and tell now and then how far it is, and at the end. Raises what reading the log raises."""
    workers = []
    for lease in order.leases:
        view = VIEWS[lease.name]
        workers.append(rebuild.worker_of(lease, view, PostgresReadModel(dsn, lease, view)))
    stretch = rebuild.BoundedLog(reader, order.until, order.events_per_second or math.inf)
    async with _telling(workers, told):
        await rebuild.fill(stretch, workers)


async def fill_beside(order: Order, told: Told) -> None:
    """The same in another process. Raises what a tool ends with, and `ToolRefused` where the process was ended."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "mpoperator.projections.fill",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None, "opened with a pipe"
    assert process.stdout is not None, "opened with a pipe"
    try:
        with contextlib.suppress(RuntimeError, ConnectionError):  # It was ended already: its exit code says so.
            process.stdin.write(msgspec.json.encode(order) + b"\n")
        async for line in process.stdout:
            said = _said.decode(line)
            if said.failure is not None:
                raise _FAILURES[said.failure](said.detail)
            told(said.standings)
        if code := await process.wait():
            names = ", ".join(lease.title for lease in order.leases)
            raise ToolRefused(f"the process that filled {names} ended with {code}: rebuild again, and it goes on")
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def spare_garbage_collection() -> None:
    """Rows of a batch live together and die together: looking for cycles among them costs a tenth of the folding."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


@contextlib.asynccontextmanager
async def _telling(workers: Sequence[rebuild.ProjectionWorker], told: Told) -> AsyncIterator[None]:
    def tell() -> None:
        told([_standing(worker) for worker in workers])

    async def go_on() -> None:
        while True:
            await asyncio.sleep(_TELL_SECONDS)
            tell()

    telling = asyncio.create_task(go_on())
    try:
        yield
    finally:
        telling.cancel()
        await asyncio.gather(telling, return_exceptions=True)
        tell()


def _standing(worker: rebuild.ProjectionWorker) -> FillProgress:
    return FillProgress(name=worker.lease.name, position=worker.written, error=worker.error, deposed=worker.deposed)


async def _serve() -> None:
    """Fill what standard input says, until it ends."""
    loop, orders = asyncio.get_running_loop(), asyncio.StreamReader(limit=1 << 20)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    order = _order.decode(await orders.readline())
    filling, left_alone = asyncio.create_task(_fill(order)), asyncio.create_task(orders.read())
    await asyncio.wait((filling, left_alone), return_when=asyncio.FIRST_COMPLETED)
    for task in (filling, left_alone):
        task.cancel()
    failed, _ = await asyncio.gather(filling, left_alone, return_exceptions=True)
    if isinstance(failed, ToolError):
        _say(_Said(failure=type(failed).__name__, detail=str(failed)))
    elif isinstance(failed, Exception):
        raise failed


async def _fill(order: Order) -> None:
    settings = read_settings()
    dsn = settings.owner_dsn
    spare_garbage_collection()
    async with bus(settings.nats()) as nc:
        reader = LogReader(nc, settings.shard)
        await fill_here(reader, dsn, order, lambda standings: _say(_Said(standings=list(standings))))


def _say(what: _Said) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(what) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # It is for whoever started this process, and ends it, too.
    say_nothing()
    with asyncio.Runner(loop_factory=fast_loop) as runner:
        runner.run(_serve())
