"""The composition of a relay process, and the one command that makes its feed anew."""

import contextlib

from mpbus.errors import BrokerUnavailable, PermissionsViolation
from mpbus.reader import LogReader
from mpbus.streams import feed_stream
from mpschema import subjects
from mpservice.lifecycle import UNREADABLE, Lifecycle
from mpservice.oneshot import STREAM_FAILURES, run_once, stream_maker
from mpservice.program import run_service
from mpservice.rights import PROVISION
from mpservice.settings import ProvisionSettings, read_settings
from nats.js.errors import NotFoundError

from mprelay.adapters.jetstream_feed import JetStreamFeed
from mprelay.relay import FeedDiverged, Relay
from mprelay.settings import RelaySettings
from mprelay.spec import SERVICE


async def serve(settings: RelaySettings, life: Lifecycle) -> int:
    """Relay until a signal asks to stop. Returns the exit code."""
    async with life.bus(SERVICE.name, settings, writer=True) as nc:
        source, feed = LogReader(nc, settings.shard), JetStreamFeed(nc, settings.shard)
        await life.keep(lambda: Relay(source, feed, settings.shard), nc.vital, (*UNREADABLE, FeedDiverged))
    return 0


async def drop_feed(settings: ProvisionSettings) -> str:
    """Delete the feed and make an empty one, as who makes streams: a stream may send on what it gets.

    A running relay fills it again from the log.
    """
    async with stream_maker(settings, "feed-rebuild", writer=True) as nc:
        js, name = nc.jetstream(timeout=10), subjects.feed_stream(settings.shard)
        try:
            with contextlib.suppress(NotFoundError):
                await js.delete_stream(name)
            await js.add_stream(feed_stream(settings.shard, settings.replicas))
        except PermissionsViolation as error:
            raise BrokerUnavailable(f"{error}. The feed is made anew with the seed of {PROVISION}") from error
    return f"{name} is empty; a running relay fills it from the log"


def rebuild() -> int:
    """Empty the feed for the relay that runs. Returns the exit code."""
    maker = read_settings(ProvisionSettings)
    return run_once("relay --rebuild", lambda: drop_feed(maker), *STREAM_FAILURES)


def run() -> int:
    """Relay until told to stop. Returns the exit code."""
    return run_service(SERVICE.name, read_settings(RelaySettings), serve)
