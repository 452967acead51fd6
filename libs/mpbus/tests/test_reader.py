"""The log reader gives every commit once, in order, verified, whatever happens to the server."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from mpbus.connect import connect
from mpbus.errors import ChainBroken, LogReplaced, LogUnavailable, NoLog
from mpbus.marks import read_mark
from mpbus.pull import Pull
from mpbus.reader import GENESIS, Commit, LogPosition, LogReader
from mpbus.streams import provision
from mpd.servers import NatsServer
from mpschema import subjects
from nats.aio.client import Client

from tests.support import eventually
from tests.support.chain import Chain


async def first(commits: AsyncIterator[list[Commit]], count: int) -> list[Commit]:
    """The first `count` commits, within half a minute."""
    seen: list[Commit] = []
    async with asyncio.timeout(30):
        async for batch in commits:
            seen += batch
            if len(seen) >= count:
                return seen
    return seen


async def test_it_follows_from_the_start_and_on(nc: Client, shard: str) -> None:
    chain, follow = Chain(nc, shard), LogReader(nc, shard).follow()
    await chain.append(3)
    await chain.append(2)
    assert [c.header.first_seq for c in await first(follow, 2)] == [1, 4]
    await chain.append(1)
    (last,) = await first(follow, 1)
    assert [record.seq for record in last.records] == [6]
    assert last.position == chain.position


async def test_it_starts_after_any_position(nc: Client, shard: str) -> None:
    chain = Chain(nc, shard)
    positions = [GENESIS]
    for count in (3, 1, 4, 1, 5):
        await chain.append(count)
        positions.append(chain.position)
    reader = LogReader(nc, shard)
    for seq, expected in ((1, 0), (3, 0), (4, 1), (5, 2), (8, 2), (9, 3), (14, 4), (15, 5)):
        assert await reader.position_before(seq) == positions[expected], f"event {seq}"
    assert await reader.head() == positions[-1]
    (commit, *_) = await first(reader.follow(positions[3]), 1)
    assert commit.header.first_seq == 9


async def test_an_empty_log_begins_at_genesis(nc: Client, shard: str) -> None:
    reader = LogReader(nc, shard)
    assert await reader.head() == GENESIS
    assert await reader.position_before(1) == GENESIS
    assert await reader.commit_at(1) is None


async def broken(nc: Client, shard: str, after: LogPosition = GENESIS) -> ChainBroken:
    """The reader's words when it meets the flaw."""
    with pytest.raises(ChainBroken) as caught:
        await first(LogReader(nc, shard).follow(after), 99)
    return caught.value


async def test_a_changed_byte_is_named(nc: Client, shard: str) -> None:
    chain = Chain(nc, shard)
    await chain.append(1)
    await chain.append_bytes(b'{"forged":true}\n', 1, stated="f" * 64)
    assert (await broken(nc, shard)).stream_seq == 2
    (good,) = await first(LogReader(nc, shard).follow(), 1)
    assert good.header.first_seq == 1, "what stands before the flaw is given"


async def test_a_header_that_names_another_past_is_refused(nc: Client, shard: str) -> None:
    chain = Chain(nc, shard)
    await chain.append(1)
    await chain.append(1, claimed_previous="a" * 64)
    assert "hash before it" in str(await broken(nc, shard))


async def test_a_gap_in_the_events_is_refused(nc: Client, shard: str) -> None:
    chain = Chain(nc, shard)
    await chain.append(1)
    await chain.append(1, first_seq=7)
    assert "begins with event 7" in str(await broken(nc, shard))


async def test_a_count_that_lies_is_refused(nc: Client, shard: str) -> None:
    chain = Chain(nc, shard)
    await chain.append(2)
    reader = LogReader(nc, shard)
    (commit,) = await first(reader.follow(), 1)
    shorter = commit.data.replace(b'"count":2', b'"count":3')
    other = Chain(nc, shard)
    other.position = chain.position
    await other.append_bytes(
        shorter.replace(b'"first_seq":1', b'"first_seq":3').replace(b"0" * 64, commit.hash.encode()), 3
    )
    assert "holds 2 events, not 3" in str(await broken(nc, shard))


async def test_the_newest_commit_is_read_again_when_it_was_lost_on_its_way(nc: Client, shard: str) -> None:
    """As when a connection breaks at that moment, and is back before the server drops what was asked for."""
    chain, follow = Chain(nc, shard), LogReader(nc, shard).follow()
    await chain.append(1)
    await first(follow, 1)
    stream = subjects.log_stream(shard)
    (consumer,) = await nc.jetstream().consumers_info(stream)
    thief = await Pull(nc, stream, consumer.name).open()
    reading = asyncio.create_task(first(follow, 2))
    for _ in range(2):
        await chain.append(1)
    assert [commit.header.first_seq for commit in await reading] == [2, 3]
    assert len(await thief.take()) == 1
    await thief.close()


async def test_it_reads_on_after_the_server_restarts(own_nats: NatsServer) -> None:
    nc = await connect(own_nats.url, "tests", writer=True)
    await provision(nc, "0")
    chain, follow = Chain(nc, "0"), LogReader(nc, "0").follow()
    await chain.append(1)
    assert len(await first(follow, 1)) == 1
    await asyncio.to_thread(own_nats.restart)
    await eventually(lambda: nc.is_connected)
    await chain.append(1)
    (again,) = await first(follow, 1)
    assert again.header.first_seq == 2
    await nc.close()


async def test_a_reader_of_what_is_gone_says_that_the_log_was_put_back(nc: Client, shard: str) -> None:
    """Put back from a copy that ends before the reader's place: what it read last stands there no more."""
    chain, follow = Chain(nc, shard), LogReader(nc, shard).follow()
    for _ in range(3):
        await chain.append(1)
    assert len(await first(follow, 3)) == 3
    await nc.jetstream().delete_stream(subjects.log_stream(shard))
    reading = asyncio.create_task(first(follow, 1))
    await provision(nc, shard)
    again = Chain(nc, shard)
    await again.append(2)
    for _ in range(4):
        await again.append(1)
    with pytest.raises(LogReplaced, match=r"log position 3: .* put back"):
        await asyncio.wait_for(reading, 60)


async def test_a_log_that_was_never_made_is_told_by_its_own_error(nc: Client) -> None:
    reader = LogReader(nc, "nowhere")
    for asked in (reader.head(), reader.position_before(1)):
        with pytest.raises(NoLog, match="stream not found"):
            await asked
    assert await reader.commit_at(1) is None


async def test_a_server_that_hangs_is_told_as_a_log_that_does_not_answer(own_nats: NatsServer) -> None:
    nc = await connect(own_nats.url, "tests", writer=True)
    own_nats.pause()
    try:
        for asked in (LogReader(nc, "0").head(), read_mark(nc, "0")):
            with pytest.raises(LogUnavailable, match="timeout"):
                await asked
    finally:
        own_nats.resume()
        await nc.close()
