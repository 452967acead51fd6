"""Measurements around a kernel agree with what is there: commands that wait, snapshots, the feed's lag."""

import asyncio
import math
from collections.abc import AsyncIterator

import pytest
from mpbus.connect import BusClient, connect
from mpbus.streams import provision
from mpbus.tasks import end
from mpbus.vitals import Vital
from mpcore.engine.shard import Shard
from mpd.servers import NatsServer
from mpkernel.adapters import surroundings
from mpkernel.adapters.surroundings import Surroundings
from mprelay.relay import Relay
from mpschema import subjects
from mpstore.log.memory import MemoryLog
from mpstore.snapshots.objects import ObjectSnapshots
from prometheus_client import REGISTRY

from services.relay.tests.test_relay import HangingFeed, elect
from tests.support.waiting import eventually

MINUTE_SECONDS = 60.0


def figure(name: str, **labels: str) -> float | None:
    """As `/metrics` would tell it now."""
    return REGISTRY.get_sample_value(name, labels)


@pytest.fixture
async def nc(nats_server: NatsServer, shard: str) -> AsyncIterator[BusClient]:
    """Connected to a server that has the streams of a shard."""
    nc = await connect(nats_server.url, "figures", writer=True)
    await provision(nc, shard, 1)
    yield nc
    await nc.close()


async def test_commands_that_wait_and_the_snapshots_age_are_seen_and_unknown_once_nobody_looks(
    nc: BusClient, shard: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(surroundings, "LOOK_SECONDS", 0.05)
    looking = asyncio.create_task(Surroundings(nc, shard).look_for_ever())
    await eventually(lambda: figure("mp_kernel_intake_messages") == 0)
    await eventually(lambda: figure("mp_kernel_snapshot_age_seconds") == -1)
    assert figure("mp_kernel_intake_bytes") == 0
    for _ in range(2):
        await nc.jetstream().publish(subjects.command_subject(shard), b"x" * 1_000)
    await eventually(lambda: figure("mp_kernel_intake_messages") == 2)
    assert 2_000 < (figure("mp_kernel_intake_bytes") or 0) < 3_000
    await ObjectSnapshots(nc, shard).store(b"a snapshot")
    await eventually(lambda: 0 <= (figure("mp_kernel_snapshot_age_seconds") or -1) < MINUTE_SECONDS)
    await end(looking)
    Surroundings.unknown()
    for name in ("mp_kernel_intake_messages", "mp_kernel_intake_bytes", "mp_kernel_snapshot_age_seconds"):
        assert math.isnan(figure(name) or 0)


async def test_the_relays_lag_is_what_the_feed_does_not_hold() -> None:
    log, feed, shard = MemoryLog(), HangingFeed(), Shard()
    for epoch in (1, 2, 3):
        await elect(log, shard, epoch)
    relaying = asyncio.create_task(Relay(log, feed, "0").run())
    await eventually(lambda: figure("mp_relay_lag_events") == 3)
    feed.let_go.set()
    await eventually(lambda: figure("mp_relay_lag_events") == 0)
    await end(relaying)


def test_whether_a_server_answers_is_told_by_its_name() -> None:
    vital = Vital("a-server")
    seen = [figure("mp_dependency_up", dependency="a-server")]
    for told in (vital.answered, lambda: vital.away("gone"), vital.answered):
        told()
        seen.append(figure("mp_dependency_up", dependency="a-server"))
    assert seen == [0, 1, 0, 1]
