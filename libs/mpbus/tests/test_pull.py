"""A pull asks again when nobody listens, and gives up a consumer that is gone."""

import pytest
from mpbus.errors import ConsumerLost
from mpbus.pull import Pull
from mpbus.streams import INTAKE_CONSUMER
from mpschema.subjects import command_stream, command_subject
from nats.aio.client import Client

CONSUMER = "late"


async def test_a_consumer_that_does_not_listen_yet_is_asked_again(nc: Client, shard: str) -> None:
    js, stream = nc.jetstream(), command_stream(shard)
    await js.delete_consumer(stream, INTAKE_CONSUMER)
    await js.publish(command_subject(shard), b"one")
    pull = await Pull(nc, stream, CONSUMER).open()
    await nc.flush()
    await js.add_consumer(stream, durable_name=CONSUMER, ack_policy="explicit")
    assert [msg.data for msg in await pull.take()] == [b"one"]
    await pull.close()


async def test_a_consumer_that_is_gone_is_given_up_however_often_it_is_asked(nc: Client, shard: str) -> None:
    pull = await Pull(nc, command_stream(shard), CONSUMER).open()
    with pytest.raises(ConsumerLost):
        await pull.take()
    await pull.close()
