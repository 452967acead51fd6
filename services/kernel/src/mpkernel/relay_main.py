"""The composition of a relay process, and the one command that makes its feed anew."""

import asyncio
import contextlib

import uvloop
from mpbus.connect import connect
from mpbus.identities import RELAY
from mpbus.lifecycle import UNREADABLE, Lifecycle, live
from mpbus.reader import LogReader
from mpbus.streams import feed_stream
from mpbus.telemetry import configure
from mpbus.vitals import Vital
from mpschema import subjects
from nats.js.errors import NotFoundError

from mpkernel.adapters.jetstream_feed import JetStreamFeed
from mpkernel.relay import FeedDiverged, Relay
from mpkernel.settings import KernelSettings


async def serve(settings: KernelSettings, life: Lifecycle) -> int:
    """Relay until a signal asks to stop. Returns the exit code."""
    nats = Vital("nats")
    nc = await life.reach(nats, connect(settings.nats(RELAY), f"relay-{settings.node}", writer=True, vital=nats))
    try:
        source, feed = LogReader(nc, settings.shard), JetStreamFeed(nc, settings.shard)
        await life.keep(lambda: Relay(source, feed, settings.shard), nats, (*UNREADABLE, FeedDiverged))
    finally:
        with contextlib.suppress(Exception):
            await nc.close()
    return 0


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
    return uvloop.run(live("relay", settings, lambda life: serve(settings, life)))
