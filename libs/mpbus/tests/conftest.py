"""A connection and the streams of a fresh shard, for the tests of the bus."""

from collections.abc import AsyncIterator

import pytest_asyncio
from mpbus.connect import connect
from mpbus.streams import provision
from mpd.servers import NatsServer
from nats.aio.client import Client


@pytest_asyncio.fixture
async def nc(nats_server: NatsServer, shard: str) -> AsyncIterator[Client]:
    """A connection; the streams of `shard` are there."""
    client = await connect(nats_server.url, "tests", writer=True)
    await provision(client, shard)
    yield client
    await client.close()
