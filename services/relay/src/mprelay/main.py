"""The composition of a relay process, and the one command that makes its feed anew."""

import asyncio
import contextlib

import uvloop
from mpbus.connect import connect
from mpbus.errors import BrokerUnavailable, PermissionsViolation, Unusable
from mpbus.reader import LogReader
from mpbus.streams import feed_stream
from mpbus.vitals import Vital
from mpschema import subjects
from mpservice.identities import PROVISION, RELAY
from mpservice.lifecycle import UNREADABLE, Lifecycle, live
from mpservice.oneshot import run_once
from mpservice.settings import ProvisionSettings, read_settings
from mpservice.telemetry import configure
from nats.errors import Error as NatsError
from nats.js.errors import NotFoundError

from mprelay.adapters.jetstream_feed import JetStreamFeed
from mprelay.relay import FeedDiverged, Relay
from mprelay.settings import RelaySettings

WAIT_SECONDS = 30.0
"""For NATS, before the feed is made anew."""


async def serve(settings: RelaySettings, life: Lifecycle) -> int:
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


async def drop_feed(settings: ProvisionSettings) -> str:
    """Delete the feed and make an empty one, as who makes streams: a stream may send on what it gets.

    A running relay fills it again from the log.
    """
    nats = Vital("nats")
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            nc = await connect(settings.nats(PROVISION), "feed-rebuild", writer=True, vital=nats)
    except TimeoutError:
        raise BrokerUnavailable(f"no NATS server for {WAIT_SECONDS:g} s: {nats.state}") from None
    js, name = nc.jetstream(timeout=10), subjects.feed_stream(settings.shard)
    try:
        with contextlib.suppress(NotFoundError):
            await js.delete_stream(name)
        await js.add_stream(feed_stream(settings.shard, settings.replicas))
    except PermissionsViolation as error:
        raise BrokerUnavailable(f"{error}. The feed is made anew with the seed of {PROVISION}") from error
    finally:
        await nc.close()
    return f"{name} is empty; a running relay fills it from the log"


def rebuild() -> int:
    """Empty the feed for the relay that runs. Returns the exit code."""
    maker, failures = read_settings(ProvisionSettings), (BrokerUnavailable, Unusable, NatsError, OSError, TimeoutError)
    return run_once("relay --rebuild", lambda: drop_feed(maker), *failures)


def run() -> int:
    """Relay until told to stop. Returns the exit code."""
    settings = read_settings(RelaySettings)
    configure("relay", node=settings.node, level=settings.log_level, style=settings.log_format)
    return uvloop.run(live("relay", settings, lambda life: serve(settings, life)))
