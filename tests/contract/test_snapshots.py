"""Promises of snapshots: the newest whole one, or none, and never a wait without end."""

import asyncio
import base64
from collections.abc import AsyncIterator

import pytest
from mpbus.connect import connect
from mpbus.streams import provision
from mpd.servers import NatsServer
from mpstore.snapshots.objects import ObjectSnapshots
from nats.aio.client import Client

from tests.support.waiting import eventually

SNAPSHOT_BYTES = 2_000_000


@pytest.fixture
async def snapshots(nats_server: NatsServer, shard: str) -> AsyncIterator[ObjectSnapshots]:
    nc: Client = await connect(nats_server.url, "snapshots", writer=True)
    await provision(nc, shard, 1)
    yield ObjectSnapshots(nc, shard)
    await nc.close()


async def test_there_is_none_at_first(snapshots: ObjectSnapshots) -> None:
    assert await snapshots.load() is None


async def test_the_newest_replaces_the_others(snapshots: ObjectSnapshots) -> None:
    await snapshots.store(b"old")
    await snapshots.store(b"new")
    assert await snapshots.load() == b"new"


@pytest.mark.parametrize("stored", [True, False])
async def test_an_answer_of_the_server_among_the_snapshots_is_no_snapshot(
    nats_server: NatsServer, shard: str, snapshots: ObjectSnapshots, stored: bool
) -> None:
    """Whoever may ask JetStream anything can have the answer sent there."""
    if stored:
        await snapshots.store(b"good")
    nc = await connect(nats_server.url, "intruder", writer=True)
    js = nc.jetstream()
    subject = f"$O.MP_SNAPSHOTS.M.{base64.urlsafe_b64encode(f'shard-{shard}'.encode()).decode()}"
    for body in (b"", b"[]", b'{"no":"object"}'):
        await nc.publish("$JS.API.STREAM.INFO.OBJ_MP_SNAPSHOTS", body, reply=subject)
        await nc.publish(subject, body)

    async def landed() -> bool:
        held = (await js.stream_info("OBJ_MP_SNAPSHOTS", subjects_filter=subject)).state.subjects or {}
        return held.get(subject) == 6 + stored

    await eventually(landed, 30)
    await nc.close()
    assert await snapshots.load() == (b"good" if stored else None)
    await snapshots.store(b"better")
    assert await snapshots.load() == b"better"


async def test_loading_ends_while_newer_ones_are_stored(snapshots: ObjectSnapshots) -> None:
    """A standby that starts under load once waited for ever for chunks that a newer snapshot had purged."""
    await snapshots.store(bytes(SNAPSHOT_BYTES))

    async def store_many() -> None:
        for number in range(1, 40):
            await snapshots.store(bytes([number]) * SNAPSHOT_BYTES)

    storing = asyncio.create_task(store_many())
    while not storing.done():
        data = await asyncio.wait_for(snapshots.load(), timeout=30)
        assert data is not None
        assert set(data) == {data[0]}
        assert len(data) == SNAPSHOT_BYTES
    await storing
