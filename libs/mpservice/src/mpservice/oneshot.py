"""A tool that does one thing and ends: with a sentence on standard output, or on standard error why it could not."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from mpbus.connect import BusClient, connect
from mpbus.errors import BrokerUnavailable, Unusable
from mpbus.vitals import Vital
from nats.errors import Error as NatsError

from mpservice.rights import PROVISION
from mpservice.settings import ProvisionSettings

FAILED = 1
WAIT_SECONDS = 30.0
"""The wait for NATS: in a deployment of everything at once we start before it."""
STREAM_FAILURES = (BrokerUnavailable, Unusable, NatsError, OSError, TimeoutError)
"""The errors with which the world refuses whoever makes streams."""
STOPPED = 143
"""The exit code that a shell reports for a process that SIGTERM ended."""


@asynccontextmanager
async def stream_maker(settings: ProvisionSettings, name: str, *, writer: bool = False) -> AsyncIterator[BusClient]:
    """A connection as the user who makes streams. Raises `BrokerUnavailable` where there is no server for a while."""
    nats = Vital("nats")
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            nc = await connect(settings.nats(PROVISION), name, writer=writer, vital=nats)
    except TimeoutError:
        raise BrokerUnavailable(f"no NATS server for {WAIT_SECONDS:g} s: {nats.state}") from None
    try:
        yield nc
    finally:
        await nc.close()


def run_once(name: str, work: Callable[[], Awaitable[str]], *failures: type[Exception]) -> int:
    """The exit code of `work`, which returns what to say. What is no bug of ours is among its `failures`."""
    return asyncio.run(_run(name, work, failures))


async def _run(name: str, work: Callable[[], Awaitable[str]], failures: tuple[type[Exception], ...]) -> int:
    working, asked = asyncio.ensure_future(work()), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        # The first process of a container ignores what it has no handler for.
        loop.add_signal_handler(number, asked.set)
    told = asyncio.ensure_future(asked.wait())
    await asyncio.wait({working, told}, return_when=asyncio.FIRST_COMPLETED)
    if not working.done():
        working.cancel()
        await asyncio.wait({working}, timeout=0.25)
        sys.stderr.write(f"{name} was stopped before it was done; it is safe to repeat\n")
        return STOPPED
    told.cancel()
    try:
        sys.stdout.write(f"{working.result()}\n")
    except failures as error:
        sys.stderr.write(f"{name} failed: {str(error) or type(error).__name__}\n")
        return FAILED
    return 0
