"""The subject on which the log takes commits, over an upgrade and for good."""

import pytest
from mpbus.ingest import ingest_of, log_ingest
from mpbus.reader import HASH_HEADER, LogReader
from mpbus.streams import provision
from mpschema import codec, subjects
from mpschema.envelope import CommitHeader
from nats.aio.client import Client
from nats.js.errors import NoStreamResponseError

from tests.support.chain import Chain


async def heard(nc: Client, shard: str) -> list[str]:
    """The subjects of the log stream."""
    return list((await nc.jetstream().stream_info(subjects.log_stream(shard))).config.subjects or [])


async def test_the_plain_subject_stays_until_every_build_asks(nc: Client, shard: str) -> None:
    js, plain, chain = nc.jetstream(), subjects.log_subject(shard), Chain(nc, shard)
    await chain.append(1)
    await provision(nc, shard)
    assert await heard(nc, shard) == [plain], "a server that asks nobody is guarded by nothing"
    await provision(nc, shard, guarded=True)
    ingest = await log_ingest(js, shard)
    assert await heard(nc, shard) == [ingest, plain], "an older build leads on"
    assert ingest.startswith(f"mp.v1.ingest.{shard}.")
    await chain.append(1)
    await provision(nc, shard, guarded=True)
    assert await heard(nc, shard) == [ingest, plain]
    records = chain.events(1)
    header = CommitHeader(
        epoch=1, first_seq=3, count=1, time_ms=1, previous_hash=chain.position.hash, command_position=0, feature_level=3
    )
    data = codec.encode_commit(header, records)
    stated = codec.commit_hash(chain.position.hash, plain, data)
    await js.publish(ingest, data, headers={HASH_HEADER: stated})
    await provision(nc, shard, guarded=True)
    assert await heard(nc, shard) == [ingest]
    with pytest.raises(NoStreamResponseError):
        await js.publish(plain, b"garbage")
    await provision(nc, shard)
    assert await heard(nc, shard) == [ingest], "what is guarded stays so"
    reader = LogReader(nc, shard)
    head = await reader.head()
    assert (head.seq, head.hash) == (3, stated)
    async for commits in reader.follow():
        assert {commit.subject for commit in commits} == {plain}, "stored as ever"
        if commits and commits[-1].position == head:
            break


async def test_an_empty_log_is_guarded_at_once(nc: Client, shard: str) -> None:
    await provision(nc, shard, guarded=True)
    ingest = await log_ingest(nc.jetstream(), shard)
    assert await heard(nc, shard) == [ingest]
    await provision(nc, shard, renew_ingest=True)
    config = (await nc.jetstream().stream_info(subjects.log_stream(shard))).config
    assert ingest_of(config, shard) not in {"", ingest}
