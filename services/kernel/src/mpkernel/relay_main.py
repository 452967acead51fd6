"""The composition of a relay process, and the one command that makes its feed anew."""

import asyncio
import contextlib
import signal

import structlog
import uvloop
from mpbus.connect import connect
from mpbus.errors import ChainBroken
from mpbus.identities import RELAY
from mpbus.ops import OpsServer
from mpbus.reader import LogReader
from mpbus.streams import feed_stream
from mpbus.tasks import end
from mpbus.telemetry import configure
from mpschema import subjects
from mpschema.codec import MalformedCommit
from nats.js.errors import NotFoundError

from mpkernel.adapters.jetstream_feed import JetStreamFeed
from mpkernel.relay import FeedDiverged, Relay
from mpkernel.settings import KernelSettings

log = structlog.get_logger(__name__)
EXIT_UNUSABLE = 4
"""The log does not verify, or the feed does not fit it."""


async def serve(settings: KernelSettings) -> int:
    """Relay until a signal asks to stop. Returns the exit code."""
    nc = await connect(settings.nats(RELAY), f"relay-{settings.node}", writer=True)
    relay = Relay(LogReader(nc, settings.shard), JetStreamFeed(nc, settings.shard), settings.shard)
    running, stop = asyncio.create_task(relay.run()), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    ops = OpsServer(settings.ops_host, settings.ops_port, relay.health) if settings.ops_port else None
    try:
        if ops is not None:
            await ops.start()
        await _until_stopped(running, stop)
    except (FeedDiverged, ChainBroken, MalformedCommit) as error:
        log.critical("relay.halted", reason=str(error))
        return EXIT_UNUSABLE
    finally:
        if ops is not None:
            await ops.close()
        with contextlib.suppress(Exception):
            await nc.close()
    return 0


async def _until_stopped(running: asyncio.Task[None], stop: asyncio.Event) -> None:
    """Wait until asked to stop, or until it ends by itself: then raises what it ended with."""
    asked = asyncio.create_task(stop.wait())
    await asyncio.wait((running, asked), return_when=asyncio.FIRST_COMPLETED)
    await end(asked, running)
    if not running.cancelled():
        running.result()


async def drop_feed(settings: KernelSettings) -> None:
    """Delete the feed and make an empty one; a running relay fills it again from the log."""
    nc = await connect(settings.nats(RELAY), "feed-rebuild", writer=True)
    js = nc.jetstream(timeout=10)
    with contextlib.suppress(NotFoundError):
        await js.delete_stream(subjects.feed_stream(settings.shard))
    await js.add_stream(feed_stream(settings.shard, settings.replicas))
    await nc.close()


def main(arguments: list[str]) -> int:
    """`relay`, or `relay --rebuild` to empty the feed first."""
    settings = KernelSettings()
    configure("relay", node=settings.node, level=settings.log_level, style=settings.log_format)
    if arguments == ["--rebuild"]:
        asyncio.run(drop_feed(settings))
    return uvloop.run(serve(settings))
