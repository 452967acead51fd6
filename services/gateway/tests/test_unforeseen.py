"""Work that goes on as long as the gateway lives and meets what nobody foresaw: it is told of, never silent."""

from __future__ import annotations

import asyncio
from typing import cast

import msgspec
import pytest
import structlog
from mpbus.connect import BusClient, connect
from mpbus.errors import LogIncomplete
from mpbus.marks import Mark, mark_subject
from mpbus.options import NatsOptions
from mpbus.reader import Commit, LogPosition, LogReader
from mpbus.streams import provision
from mpbus.vitals import Vital
from mpd.servers import NatsServer
from mpgateway.auth.access import Access
from mpgateway.auth.refusals import Refusals
from mpgateway.condition import Condition
from mpgateway.database import ReadModels
from mpgateway.streaming.ring import Ring
from mpgateway.streaming.tail import Tail
from redis.asyncio import Redis

from tests.support import eventually
from tests.support.chain import Chain

NO_LOG = cast("LogReader", None)
"""A log reader that is none: any use of it raises an unforeseen error."""


class Faulty:
    """A follower with a fault."""

    async def begin(self) -> LogPosition:
        raise ValueError("a fault")

    def extend(self, commits: list[Commit]) -> None:
        """Never called: it does not begin."""


async def test_a_gateway_that_reads_the_log_no_more_is_not_ready_and_ends() -> None:
    ring, asked = Ring(1 << 20), asyncio.Event()
    tail = Tail(ring, NO_LOG, 60, Faulty())
    with structlog.testing.capture_logs() as lines:
        await tail.start(asked.set)
        await asyncio.wait_for(asked.wait(), 30)
        await asyncio.wait_for(tail.settled(), 30)
    assert (tail.failed, tail.ready, tail.broken) == (True, False, "reading the log failed: ValueError: a fault")
    assert ring.ending == "log_broken"
    assert {line["log_level"] for line in lines} == {"critical"}
    await tail.close()


async def test_a_gateway_that_read_what_a_restore_took_away_ends_and_begins_anew(own_nats: NatsServer) -> None:
    nc = await connect(own_nats.url, "tests", writer=True)
    await provision(nc, "0")
    chain = Chain(nc, "0")
    for _ in range(3):
        await chain.append(1)
    ring, asked, reader = Ring(1 << 20), asyncio.Event(), LogReader(nc, "0")
    tail = Tail(ring, reader, 60, Access(nc, reader, "0", frozenset(), Refusals(None)))
    await tail.start(asked.set)
    await eventually(lambda: tail.ready)
    await nc.jetstream().delete_stream("MP_LOG_0")
    await provision(nc, "0")
    await Chain(nc, "0").append(2)
    await asyncio.wait_for(asked.wait(), 60)
    assert (tail.failed, tail.ready, ring.ending) == (True, False, "log_broken")
    assert "put back" in tail.broken
    await tail.close()
    await nc.close()


async def test_a_gateway_waits_until_a_log_that_is_being_put_back_is_whole(own_nats: NatsServer) -> None:
    """Half of it, a key that was revoked in the other half would be good again."""
    nc = await connect(own_nats.url, "tests", writer=True)
    await provision(nc, "0")
    chain = Chain(nc, "0")
    await chain.append(1)
    mark = Mark(command="mpctl log mend kept", stream_seq=3, seq=3, hash="ab" * 32)
    await nc.jetstream().publish(mark_subject("0"), msgspec.json.encode(mark))
    ring, reader = Ring(1 << 20), LogReader(nc, "0")
    access = Access(nc, reader, "0", frozenset(), Refusals(None))
    with pytest.raises(LogIncomplete, match=r"ends with event 1 of 3\. Go on with `mpctl log mend kept`"):
        await access.begin()
    tail = Tail(ring, reader, 60, access)
    with structlog.testing.capture_logs() as lines:
        await tail.start(lambda: None)
        await eventually(lambda: any("being put back" in line.get("error", "") for line in lines))
    assert (tail.ready, ring.cursor.seq) == (False, 0)
    for _ in range(2):
        await chain.append(1)
    await eventually(lambda: tail.ready)
    assert ring.cursor.seq == 3
    await tail.close()
    await nc.close()


async def test_a_look_that_meets_what_nobody_foresaw_is_told_and_the_others_go_on(redis_url: str) -> None:
    nats = BusClient(NatsOptions("nats://127.0.0.1:1"), Vital("nats"))
    ring, redis = Ring(1 << 20), Redis.from_url(redis_url)
    access = Access(nats, NO_LOG, "0", frozenset(), Refusals(None))
    read_models = ReadModels("postgresql://127.0.0.1:1/none", 1)
    await read_models.start()
    condition = Condition(Vital("nats"), Vital("log"), read_models, redis, Tail(ring, NO_LOG, 60, access), ring, access)

    def told() -> bool:
        return any(
            "cannot be looked at the door: AttributeError" in each for each in condition.health(bound=True).concerns
        )

    with structlog.testing.capture_logs() as lines:
        await condition.start()
        await eventually(told, 30)
        access.settle = _settled  # type: ignore[method-assign]  # the fault is mended
        await eventually(lambda: not told(), 30)
    assert [line["event"] for line in lines].count("condition.look_failed") == 1
    assert condition.health(bound=True).facts["redis"] == "ok"
    await condition.close()
    await read_models.close()
    await redis.aclose()


async def _settled() -> None:
    """All is known."""
