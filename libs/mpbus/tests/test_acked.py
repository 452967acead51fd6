"""A publish returns where its message is stored, or says why it is not."""

import asyncio

import pytest
from mpbus.acked import AckedPublisher
from mpbus.connect import connect
from mpd.servers import NatsServer
from mpschema import subjects
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js.errors import APIError, NoStreamResponseError

from tests.support.waiting import eventually

WRONG_SEQUENCE = 10071


async def test_a_publish_returns_the_position_of_its_message(nc: Client, shard: str) -> None:
    publisher = AckedPublisher(nc, 5)
    subject, stream = subjects.command_subject(shard), subjects.command_stream(shard)
    positions = await asyncio.gather(*(publisher.publish(subject, b"%d" % n, {"Mp-Number": str(n)}) for n in range(50)))
    assert sorted(positions) == list(range(1, 51))
    for number, position in enumerate(positions):
        stored = await nc.jetstream().get_msg(stream, seq=position)
        assert (stored.data, (stored.headers or {})["Mp-Number"]) == (b"%d" % number, str(number))


async def test_what_the_server_refuses_is_raised_and_the_next_publish_goes_on(nc: Client, shard: str) -> None:
    publisher = AckedPublisher(nc, 5)
    subject = subjects.log_subject(shard)
    with pytest.raises(APIError) as refused:
        await publisher.publish(subject, b"x", {"Nats-Expected-Last-Sequence": "7"})
    assert refused.value.err_code == WRONG_SEQUENCE
    assert await publisher.publish(subject, b"x", {"Nats-Expected-Last-Sequence": "0"}) == 1


async def test_a_subject_that_no_stream_takes_is_told_at_once(nc: Client) -> None:
    with pytest.raises(NoStreamResponseError):
        await AckedPublisher(nc, 5).publish("mp.nobody.listens", b"x", {})


async def test_silence_is_a_timeout_and_a_late_answer_disturbs_nobody(nc: Client) -> None:
    publisher = AckedPublisher(nc, 0.05)
    asked = await nc.subscribe("mp.silent")
    for number in range(2):
        with pytest.raises(TimeoutError):
            await publisher.publish("mp.silent", b"x", {})
        await nc.publish((await asked.next_msg()).reply, b'{"seq":%d}' % number)
        await nc.flush()


async def test_it_goes_on_after_the_server_was_away(own_nats: NatsServer) -> None:
    nc = await connect(own_nats.url, "tests", writer=True)
    await nc.jetstream().add_stream(name="t", subjects=["t"])
    publisher = AckedPublisher(nc, 1)
    assert await publisher.publish("t", b"x", {}) == 1
    await asyncio.to_thread(own_nats.kill)
    with pytest.raises((NatsError, TimeoutError)):
        await publisher.publish("t", b"x", {})
    await asyncio.to_thread(own_nats.start)
    await eventually(lambda: nc.is_connected)
    assert await publisher.publish("t", b"x", {}) == 2
    await nc.close()
