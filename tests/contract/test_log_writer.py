"""Promises of every log writer: a commit stands directly after the one it was made for, once, or not at all."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from mpbus.connect import connect
from mpbus.errors import ForeignMessage
from mpbus.reader import GENESIS, Log, LogPosition, LogReader
from mpbus.streams import provision
from mpd.servers import NatsCluster, NatsServer
from mpschema import codec, subjects
from mpschema.envelope import CommitHeader
from mpschema.registry import record_of
from mpschema.system import TimerFired
from mpstore.log import CommitTooLarge, Deposed, LogWriter, Unknown
from mpstore.log.jetstream import JetStreamLogWriter
from mpstore.log.memory import MemoryLog

Pair = tuple[LogWriter, Log]
SHARD = "0"


def commit(after: LogPosition, name: str) -> tuple[bytes, str]:
    """One event after a position, and the hash of its commit."""
    event = record_of(
        TimerFired(due_ms=1, kind=name),
        seq=after.seq + 1,
        id=f"{name}:0",
        workspace_id="acme",
        aggregate_id=name,
        version=1,
        time_ms=1,
        epoch=1,
        actor="kernel",
    )
    header = CommitHeader(
        epoch=1, first_seq=after.seq + 1, count=1, time_ms=1, previous_hash=after.hash, command_position=0
    )
    data = codec.encode_commit(header, [event])
    return data, codec.commit_hash(after.hash, subjects.log_subject(SHARD), data)


async def intrude(log: Log) -> None:
    """Store what is no commit."""
    if isinstance(log, MemoryLog):
        log.intrude(b"x")
    else:
        assert isinstance(log, LogReader)
        await log._js.publish(subjects.log_subject(SHARD), b"x")


@pytest_asyncio.fixture(params=["memory", "jetstream"])
async def pair(request: pytest.FixtureRequest, own_nats: NatsServer) -> AsyncIterator[Pair]:
    """A writer and a reader of one empty log."""
    if request.param == "memory":
        log = MemoryLog(SHARD)
        yield log, log
        return
    nc = await connect(own_nats.url, "tests", writer=True)
    await provision(nc, SHARD)
    yield JetStreamLogWriter(nc, SHARD), LogReader(nc, SHARD)
    await nc.close()


async def test_commits_stand_one_after_the_other(pair: Pair) -> None:
    writer, log = pair
    position = GENESIS
    for name in ("a", "b", "c"):
        data, commit_hash = commit(position, name)
        stream_seq = await writer.append(data, commit_hash, position, 5)
        position = LogPosition(stream_seq, position.seq + 1, commit_hash)
    assert await log.head() == position
    assert position.stream_seq == 3


async def test_the_second_of_two_writers_is_deposed(pair: Pair) -> None:
    writer, log = pair
    await writer.append(*commit(GENESIS, "first"), GENESIS, 5)
    with pytest.raises(Deposed):
        await writer.append(*commit(GENESIS, "second"), GENESIS, 5)
    assert (await log.head()).stream_seq == 1


async def test_a_repeated_write_finds_itself(pair: Pair) -> None:
    writer, log = pair
    assert await writer.append(*commit(GENESIS, "a"), GENESIS, 5) == 1
    assert await writer.append(*commit(GENESIS, "a"), GENESIS, 5) == 1
    assert (await log.head()).stream_seq == 1


async def test_where_the_log_ends_is_told_whoever_wrote_there(pair: Pair) -> None:
    writer, log = pair
    assert await writer.last() == 0
    await writer.append(*commit(GENESIS, "a"), GENESIS, 5)
    assert await writer.last() == 1
    await intrude(log)
    assert await writer.last() == 2
    with pytest.raises(ForeignMessage):
        await log.head()
    position = LogPosition(1, 1, commit(GENESIS, "a")[1])
    with pytest.raises(Deposed):
        await writer.append(*commit(position, "b"), position, 5)


async def test_a_log_that_is_gone_ends_at_nothing_and_one_that_is_silent_ends_nowhere(own_nats: NatsServer) -> None:
    nc = await connect(own_nats.url, "tests", writer=True)
    await provision(nc, SHARD)
    writer = JetStreamLogWriter(nc, SHARD)
    await writer.append(*commit(GENESIS, "a"), GENESIS, 5)
    await nc.jetstream().delete_stream(subjects.log_stream(SHARD))
    assert await writer.last() == 0
    own_nats.kill()
    assert await writer.last() is None
    await nc.close()


async def test_without_a_server_the_outcome_is_unknown(own_nats: NatsServer) -> None:
    nc = await connect(own_nats.url, "tests", writer=True)
    await provision(nc, SHARD)
    own_nats.kill()
    with pytest.raises(Unknown):
        await JetStreamLogWriter(nc, SHARD).append(*commit(GENESIS, "a"), GENESIS, 1)
    await nc.close()


async def test_a_commit_larger_than_the_log_takes_is_an_error_of_its_own(pair: Pair) -> None:
    writer, log = pair
    data, commit_hash = b"x" * (writer.commit_bytes_max + 5_000), "0" * 64
    with pytest.raises(CommitTooLarge):
        await writer.append(data, commit_hash, GENESIS, 5)
    assert await writer.append(*commit(GENESIS, "a"), GENESIS, 5) == 1, "and nothing is lost by it"
    assert (await log.head()).stream_seq == 1


async def test_a_commit_of_the_stated_size_is_taken_with_its_headers(own_nats: NatsServer) -> None:
    nc = await connect(own_nats.url, "tests", writer=True)
    await provision(nc, SHARD)
    writer = JetStreamLogWriter(nc, SHARD)
    assert await writer.append(b"x" * (writer.commit_bytes_max + 2_000), "0" * 64, GENESIS, 5) == 1
    await nc.close()


async def test_a_stream_that_takes_less_than_expected_is_learned_of(own_nats: NatsServer) -> None:
    nc = await connect(own_nats.url, "tests", writer=True)
    await provision(nc, SHARD)
    js, stream = nc.jetstream(), subjects.log_stream(SHARD)
    await js.update_stream((await js.stream_info(stream)).config.evolve(max_msg_size=300_000))
    writer = JetStreamLogWriter(nc, SHARD)
    before = writer.commit_bytes_max
    with pytest.raises(CommitTooLarge):
        await writer.append(b"x" * 400_000, "0" * 64, GENESIS, 5)
    assert writer.commit_bytes_max < 200_000 < before
    assert await writer.append(b"x" * writer.commit_bytes_max, "0" * 64, GENESIS, 5) == 1
    await nc.close()


async def test_three_servers_fence_alike(own_nats_cluster: NatsCluster) -> None:
    nc = await connect(own_nats_cluster.url, "tests", writer=True)
    await provision(nc, SHARD, replicas=3)
    writer = JetStreamLogWriter(nc, SHARD)
    assert await writer.append(*commit(GENESIS, "first"), GENESIS, 10) == 1
    assert await writer.append(*commit(GENESIS, "first"), GENESIS, 10) == 1
    with pytest.raises(Deposed):
        await writer.append(*commit(GENESIS, "second"), GENESIS, 10)
    await nc.close()
