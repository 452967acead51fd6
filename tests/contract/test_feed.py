"""Promises of the feed: event n is message n, once, whatever dies, and each workspace's user sees its own."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import nats
import nkeys
import pytest
from mpbus.accounts import STREAMS_ACCOUNT, Entry, server_accounts
from mpbus.connect import connect
from mpbus.feed_users import FeedUser
from mpbus.reader import HASH_HEADER, LogReader
from mpbus.streams import feed_stream, provision
from mpd.ports import free_port
from mpd.servers import NatsServer
from mpd.services import ServiceProcess
from mprelay.adapters.jetstream_feed import JetStreamFeed
from mprelay.main import drop_feed
from mprelay.ports import FeedConflict, FeedMessage
from mprelay.relay import BATCH_MAX, FeedDiverged, Relay
from mprelay.spec import SERVICE as RELAY
from mpschema import subjects
from mpschema.envelope import EventRecord
from mpschema.registry import record_of
from mpschema.task import TaskReady
from mpservice.settings import ProvisionSettings
from nats.aio.client import Client
from nats.js import api
from nats.js.errors import APIError

from tests.support import eventually
from tests.support.chain import Chain

SHARD = "0"


@asynccontextmanager
async def relaying(nc: Client) -> AsyncIterator["asyncio.Task[None]"]:
    """A relay at work."""
    task = asyncio.create_task(Relay(LogReader(nc, SHARD), JetStreamFeed(nc, SHARD), SHARD).run())
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, FeedDiverged):
            await task


async def feed_ids(nc: Client) -> list[tuple[int, str]]:
    """Position and event id of every message of the feed."""
    js = nc.jetstream()
    info = await js.stream_info(subjects.feed_stream(SHARD))
    messages = [await js.get_msg(subjects.feed_stream(SHARD), seq=n + 1) for n in range(info.state.last_seq)]
    return [(int(m.seq or 0), (m.headers or {})["ce-id"]) for m in messages]


async def complete(nc: Client, events: int) -> None:
    """Wait until the feed holds so many events, each in its place, each once."""
    js = nc.jetstream()

    async def there() -> bool:
        return (await js.stream_info(subjects.feed_stream(SHARD))).state.last_seq >= events

    await eventually(there)
    assert await feed_ids(nc) == [(n, f"c{n}:0") for n in range(1, events + 1)]


async def test_event_n_is_message_n(own_nats: NatsServer) -> None:
    nc = await connect(own_nats.url, "tests", writer=True)
    await provision(nc, SHARD)
    chain = Chain(nc, SHARD)
    async with relaying(nc):
        for count in (3, 1, 5):
            await chain.append(count)
        await complete(nc, 9)
    await nc.close()


async def test_it_goes_on_after_the_relay_and_the_server_died(own_nats: NatsServer) -> None:
    nc = await connect(own_nats.url, "tests", writer=True)
    await provision(nc, SHARD)
    chain = Chain(nc, SHARD)
    for _ in range(3):
        async with relaying(nc):
            await chain.append(20)
            own_nats.kill()
            await asyncio.to_thread(own_nats.start)
            await eventually(lambda: nc.is_connected)
            await chain.append(20)
        await chain.append(20)
    async with relaying(nc):
        await complete(nc, 180)
    await nc.close()


async def test_two_relays_do_no_harm(own_nats: NatsServer) -> None:
    nc = await connect(own_nats.url, "tests", writer=True)
    await provision(nc, SHARD)
    chain = Chain(nc, SHARD)
    async with relaying(nc), relaying(nc):
        for _ in range(20):
            await chain.append(5)
        await complete(nc, 100)
    await nc.close()


async def test_relays_that_meet_find_room_for_the_largest_batch(own_nats: NatsServer) -> None:
    """The server takes few messages before it has stored them; of two batches for one place it stores one."""
    nc = await connect(own_nats.url, "tests", writer=True)
    await provision(nc, SHARD)
    subject = subjects.feed_subject(SHARD, "acme", "task", "t1")
    batch = [
        FeedMessage(n, subject, f"c{n}:0", f"0:1:{n}", "x", "f" * 64, b"{}" * 300) for n in range(1, BATCH_MAX + 1)
    ]
    feeds = [JetStreamFeed(nc, SHARD) for _ in range(2)]
    ends = await asyncio.gather(*(feed.append(batch) for feed in feeds), return_exceptions=True)
    assert sum(end is None for end in ends) == 1, ends
    assert (await feeds[0].tail()).seq == BATCH_MAX
    await nc.close()


async def test_a_place_is_taken_once(own_nats: NatsServer) -> None:
    nc = await connect(own_nats.url, "tests", writer=True)
    await provision(nc, SHARD)
    feed = JetStreamFeed(nc, SHARD)
    message = FeedMessage(1, subjects.feed_subject(SHARD, "acme", "task", "t1"), "c1:0", "0:1:1", "x", "f" * 64, b"{}")
    await feed.append([message])
    with pytest.raises(FeedConflict):
        await feed.append([message])
    assert (await feed.tail()).seq == 1
    await nc.close()


def alike(count: int, first_seq: int = 1) -> list[EventRecord]:
    """Events of several workspaces that have one id: whoever sends a command chooses the id that theirs derive from."""
    return [
        record_of(
            TaskReady(),
            seq=seq,
            id="mine:0",
            workspace_id=f"w{seq}",
            aggregate_id="t1",
            version=1,
            time_ms=1,
            epoch=1,
            actor="user:ann",
        )
        for seq in range(first_seq, first_seq + count)
    ]


async def test_an_id_that_events_of_several_workspaces_have_does_not_stop_the_feed(own_nats: NatsServer) -> None:
    nc = await connect(own_nats.url, "tests", writer=True)
    await provision(nc, SHARD)
    await Chain(nc, SHARD).append_records(alike(3))
    async with relaying(nc):
        await eventually(lambda: feed_headers(nc, 3))
    headers = await feed_headers(nc, 3)
    assert [each["ce-id"] for each in headers] == ["mine:0"] * 3
    assert [each["Nats-Msg-Id"] for each in headers] == ["0:1:1", "0:1:2", "0:1:3"]
    # What the server makes of a batch in which two messages have one Nats-Msg-Id.
    subject = subjects.feed_subject(SHARD, "w4", "task", "t1")
    twice = [FeedMessage(seq, subject, "mine:0", "mine:0", "x", "f" * 64, b"{}") for seq in (4, 5)]
    with pytest.raises(FeedConflict):
        await JetStreamFeed(nc, SHARD).append(twice)
    await nc.close()


async def test_a_feed_of_a_release_before_message_ids_goes_on_where_it_ends(own_nats: NatsServer) -> None:
    nc = await connect(own_nats.url, "tests", writer=True)
    await provision(nc, SHARD)
    chain, js = Chain(nc, SHARD), nc.jetstream()
    await chain.append_records(alike(2))
    for seq in (1, 2):
        subject = subjects.feed_subject(SHARD, f"w{seq}", "task", "t1")
        of_before = {"ce-id": "mine:0", "ce-type": "x", HASH_HEADER: chain.position.hash}
        await js.publish(subject, b"{}", headers=of_before)
    await chain.append_records(alike(2, first_seq=3))
    async with relaying(nc):
        await eventually(lambda: feed_headers(nc, 4))
    assert [each.get("Nats-Msg-Id") for each in await feed_headers(nc, 4)] == [None, None, "0:1:3", "0:1:4"]
    await nc.close()


async def feed_headers(nc: Client, count: int) -> list[dict[str, str]]:
    """The headers of the feed's first messages. Raises `NotFoundError` while there are fewer."""
    js = nc.jetstream()
    return [(await js.get_msg(subjects.feed_stream(SHARD), seq=n)).headers or {} for n in range(1, count + 1)]


async def test_a_feed_that_does_not_fit_the_log_is_refused_until_rebuilt(own_nats: NatsServer) -> None:
    nc = await connect(own_nats.url, "tests", writer=True)
    await provision(nc, SHARD)
    chain, js = Chain(nc, SHARD), nc.jetstream()
    await chain.append(3)
    subject = subjects.feed_subject(SHARD, "acme", "task", "t1")
    await JetStreamFeed(nc, SHARD).append([FeedMessage(1, subject, "forged:0", "0:1:1", "x", "f" * 64, b"{}")])
    with pytest.raises(FeedDiverged):
        await Relay(LogReader(nc, SHARD), JetStreamFeed(nc, SHARD), SHARD).run()
    await js.delete_stream(subjects.feed_stream(SHARD))
    await js.add_stream(feed_stream(SHARD, 1))
    async with relaying(nc):
        await complete(nc, 3)
    await nc.close()


async def test_a_relay_halts_alive_before_a_feed_of_another_log_and_goes_on_once_it_is_made_anew(
    own_nats: NatsServer, tmp_path: Path
) -> None:
    nc = await connect(own_nats.url, "tests", writer=True)
    await provision(nc, SHARD)
    await Chain(nc, SHARD).append(3)
    subject = subjects.feed_subject(SHARD, "acme", "task", "t1")
    await JetStreamFeed(nc, SHARD).append([FeedMessage(1, subject, "forged:0", "0:1:1", "x", "f" * 64, b"{}")])
    environment = {"MP_NATS_URL": own_nats.url, "MP_SHARD": SHARD, "MP_OPS_PORT": str(free_port())}
    relay = ServiceProcess(RELAY, "relay-1", int(environment["MP_OPS_PORT"]), tmp_path / "relay.log", environment)
    relay.spawn()
    try:
        async with httpx.AsyncClient(base_url=relay.ops_url, timeout=5) as http:

            async def says(status: int, fact: str, words: str) -> None:
                answer = await http.get("/readyz")
                assert (answer.status_code, words in str(answer.json().get(fact))) == (status, True), answer.text

            await eventually(lambda: says(503, "halted_by", "run `python -m mprelay --rebuild`"), 60)
            await says(503, "halt", "feed_diverged")
            assert (await http.get("/healthz")).status_code == 200, "a restart would halt again"
            await drop_feed(ProvisionSettings(nats_url=own_nats.url, shard=SHARD))
            await eventually(lambda: says(200, "seq", "3"), 60)
    finally:
        relay.kill()
    await nc.close()


def key_pair() -> tuple[str, str]:
    """A new user nkey: seed and public key."""
    pair = nkeys.from_seed(nkeys.encode_seed(os.urandom(32), nkeys.PREFIX_BYTE_USER))
    return pair.seed.decode(), pair.public_key.decode()


async def test_a_workspace_user_sees_its_own_events_and_no_others(tmp_path: Path) -> None:
    seeds = dict(zip(("admin", "acme", "other"), (key_pair() for _ in range(3)), strict=True))
    acme, other = (FeedUser(name, SHARD, seeds[name][1]) for name in ("acme", "other"))
    keeper = Entry(STREAMS_ACCOUNT, seeds["admin"][1], (">",), (">",))
    accounts = server_accounts([keeper, acme.entry(), other.entry()])
    server = NatsServer(tmp_path / "nats", accounts=accounts)
    await asyncio.to_thread(server.start)
    admin = await nats.connect(server.url, nkeys_seed_str=seeds["admin"][0])
    await provision(admin, SHARD)
    chain = Chain(admin, SHARD)
    async with relaying(admin):
        await chain.append(3)  # All of workspace acme.
        await complete(admin, 3)
    assert await received(server.url, seeds["acme"][0], acme, acme.filter_subject) == ["c1:0", "c2:0", "c3:0"]
    assert await received(server.url, seeds["other"][0], other, other.filter_subject) == []
    for greedy in (acme.filter_subject, subjects.feed_subjects(SHARD), ""):
        with pytest.raises((TimeoutError, APIError, nats.errors.Error)):
            await received(server.url, seeds["other"][0], other, greedy)
    await admin.close()
    server.kill()


async def received(url: str, seed: str, user: FeedUser, filter_subject: str) -> list[str]:
    """The events a user gets with a filter. Raises when the server does not let it."""
    nc = await nats.connect(url, nkeys_seed_str=seed, inbox_prefix=user.inbox_prefix, error_cb=_ignore)
    try:
        js = nc.jetstream(timeout=3)
        config = api.ConsumerConfig(
            durable_name=user.consumer,
            name=user.consumer,
            filter_subject=filter_subject or None,
            ack_policy=api.AckPolicy.EXPLICIT,
        )
        stream = subjects.feed_stream(user.shard)
        await js.add_consumer(stream, config)
        subscription = await js.pull_subscribe_bind(user.consumer, stream)
        try:
            messages = await subscription.fetch(10, timeout=3)
        except TimeoutError:
            return []
        for message in messages:
            await message.ack()
        return [(message.headers or {})["ce-id"] for message in messages]
    finally:
        await nc.close()


async def _ignore(_: Exception) -> None:
    """Refusals are asserted by their consequences."""
