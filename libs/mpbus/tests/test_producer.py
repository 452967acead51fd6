"""The producer packs, receives outcomes, asks again, and never waits in silence."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest
import pytest_asyncio
from mpbus.connect import connect
from mpbus.errors import BrokerUnavailable, IntakeFull, OutcomeTimeout
from mpbus.ids import new_command_id
from mpbus.producer import REPLY_HEADER, CommandProducer
from mpbus.pull import Pull
from mpbus.streams import INTAKE_CONSUMER, provision
from mpd.servers import NatsServer
from mpschema import codec, subjects
from mpschema.envelope import CommandEnvelope, Outcome, Status
from nats.aio.client import Client
from nats.aio.msg import Msg


def command(command_id: str = "") -> CommandEnvelope:
    """A command whose content does not matter here."""
    return CommandEnvelope(
        command_id=command_id or new_command_id(),
        type="task.create",
        workspace_id="acme",
        principal="user:ann",
        payload=msgspec.Raw(b'{"project_id":"core","title":"x"}'),
    )


@pytest_asyncio.fixture
async def producer(nc: Client, shard: str) -> AsyncIterator[CommandProducer]:
    """A started producer."""
    made = CommandProducer(nc, shard)
    await made.start()
    yield made
    await made.close()


@pytest_asyncio.fixture
async def intake(nc: Client, shard: str) -> AsyncIterator[Pull]:
    """The other end of the command stream."""
    pull = await Pull(nc, subjects.command_stream(shard), INTAKE_CONSUMER).open()
    yield pull
    await pull.close()


class Failing(CommandProducer):
    """A producer with a fault that nobody foresaw."""

    async def _pump(self) -> None:
        await self._wake.wait()
        raise ZeroDivisionError("a bug")


async def test_a_producer_that_has_failed_says_so_to_all(nc: Client, shard: str) -> None:
    failing = Failing(nc, shard)
    await failing.start()
    for _ in range(2):  # Whoever waits while it fails, and whoever comes later.
        with pytest.raises(BrokerUnavailable, match="a bug"):
            await failing.submit(command(), timeout_seconds=60)
    with pytest.raises(BrokerUnavailable, match="a bug"):
        await failing.enqueue(command())
    await failing.close()


def commands_in(messages: list[Msg]) -> list[CommandEnvelope]:
    """All commands of some messages."""
    found = [codec.decode_envelope(line) for msg in messages for line in msg.data.split(b"\n")]
    return [envelope for envelope in found if isinstance(envelope, CommandEnvelope)]


async def answer(nc: Client, messages: list[Msg]) -> None:
    """Accept everything, as a kernel would."""
    for msg in messages:
        outcomes = [
            Outcome(command_id=c.command_id, status=Status.ACCEPTED, epoch=1, first_seq=1, last_seq=1)
            for c in commands_in([msg])
        ]
        await nc.publish((msg.headers or {})[REPLY_HEADER], codec.encode_outcomes(outcomes))


async def test_what_arrives_together_travels_together(nc: Client, producer: CommandProducer, intake: Pull) -> None:
    sent = [command() for _ in range(100)]
    waiting = [asyncio.create_task(producer.submit(c)) for c in sent]
    arrived: list[Msg] = []
    while len(commands_in(arrived)) < len(sent):
        arrived += await intake.take(timeout_seconds=30)
    await answer(nc, arrived)
    outcomes = await asyncio.gather(*waiting)
    assert [outcome.command_id for outcome in outcomes] == [c.command_id for c in sent]
    assert [c.command_id for c in commands_in(arrived)] == [c.command_id for c in sent]
    assert len(arrived) < 10


async def test_a_lost_answer_is_asked_for_again(nc: Client, producer: CommandProducer, intake: Pull) -> None:
    waiting = asyncio.create_task(producer.submit(command("c-1")))
    first = await intake.take(timeout_seconds=30)
    again = await intake.take(timeout_seconds=30)
    assert first[0].data == again[0].data
    await answer(nc, again)
    assert (await waiting).command_id == "c-1"


async def test_without_an_outcome_it_says_so_in_time(producer: CommandProducer) -> None:
    with pytest.raises(OutcomeTimeout):
        await producer.submit(command(), timeout_seconds=0.3)
    assert producer.in_flight == 0


async def test_a_full_producer_takes_nothing(nc: Client, shard: str) -> None:
    small = CommandProducer(nc, shard, in_flight_max=1)
    await small.start()
    first = asyncio.create_task(small.submit(command(), timeout_seconds=30))
    await asyncio.sleep(0)
    with pytest.raises(IntakeFull):
        await small.submit(command())
    await small.close()
    with pytest.raises(BrokerUnavailable):
        await first


async def test_enqueue_returns_when_the_command_is_durable(nc: Client, shard: str, producer: CommandProducer) -> None:
    await producer.enqueue(command())
    info = await nc.jetstream().stream_info(subjects.command_stream(shard))
    assert info.state.messages == 1


async def test_a_fault_that_one_pack_meets_keeps_no_other_from_being_sent(
    nc: Client, producer: CommandProducer, intake: Pull, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def publish(*_: object, **__: object) -> None:
        raise RuntimeError("a fault")

    with monkeypatch.context() as faulty:
        faulty.setattr(nc, "publish", publish)
        with pytest.raises(RuntimeError, match="a fault"):
            await producer.submit(command(), timeout_seconds=5)
    await producer.enqueue(command("c-1"))
    assert [c.command_id for c in commands_in(await intake.take(timeout_seconds=30))] == ["c-1"]


async def test_a_full_command_stream_is_an_overload(nc: Client, shard: str, producer: CommandProducer) -> None:
    js = nc.jetstream()
    config = (await js.stream_info(subjects.command_stream(shard))).config
    config.max_msgs = 1
    await js.update_stream(config)
    await producer.enqueue(command())
    with pytest.raises(IntakeFull):
        await producer.enqueue(command())
    with pytest.raises(IntakeFull):
        await producer.submit(command())


async def test_another_request_under_the_same_id_is_sent_once_the_first_has_its_answer(
    nc: Client, producer: CommandProducer, intake: Pull
) -> None:
    first = command("c-1")
    other = msgspec.structs.replace(first, payload=msgspec.Raw(b'{"project_id":"core","title":"y"}'))
    waiting = [asyncio.create_task(producer.submit(envelope)) for envelope in (first, first, other)]
    for envelope in (first, other):
        arrived = await intake.take(timeout_seconds=30)
        assert [bytes(sent.payload) for sent in commands_in(arrived)] == [bytes(envelope.payload)]
        await answer(nc, arrived)
    assert [outcome.accepted for outcome in await asyncio.gather(*waiting)] == [True] * 3


async def test_nobody_is_given_the_outcome_of_another_under_the_same_id(
    nc: Client, producer: CommandProducer, intake: Pull
) -> None:
    ann = command("deploy-1")
    vic = msgspec.structs.replace(ann, workspace_id="other", principal="user:vic")
    first = asyncio.create_task(producer.submit(ann))
    arrived = await intake.take(timeout_seconds=30)
    again = await intake.take(timeout_seconds=30)
    await answer(nc, arrived)
    assert (await first).accepted
    second = asyncio.create_task(producer.submit(vic))
    its_own = await intake.take(timeout_seconds=30)
    await answer(nc, again)
    refused = Outcome(command_id="deploy-1", status=Status.REJECTED, epoch=1, first_seq=2, last_seq=2)
    await nc.publish((its_own[0].headers or {})[REPLY_HEADER], codec.encode_outcomes([refused]))
    assert not (await second).accepted


async def test_two_under_the_same_id_do_not_wait_for_each_other(
    nc: Client, producer: CommandProducer, intake: Pull
) -> None:
    ann = command("deploy-2")
    vic = msgspec.structs.replace(ann, workspace_id="other", principal="user:vic")
    waiting = [asyncio.create_task(producer.submit(envelope)) for envelope in (ann, vic)]
    arrived: list[Msg] = []
    while len(commands_in(arrived)) < 2:
        arrived += await intake.take(timeout_seconds=30)
    assert len(arrived) == 2, "an answer names an id: no pack holds one twice"
    await answer(nc, arrived)
    assert all(outcome.accepted for outcome in await asyncio.gather(*waiting))
    assert producer.in_flight == 0


async def test_a_flood_that_waits_for_no_answers_holds_up_no_producer(own_nats: NatsServer) -> None:
    """A stream stores all that it has taken before it says anything: the server must not take much."""
    nc, intruder = [await connect(own_nats.url, name, writer=True) for name in ("tests", "intruder")]
    await provision(nc, "0")
    producer = CommandProducer(nc, "0")
    await producer.start()
    sent = 30_000
    for _ in range(sent):
        await intruder.publish(subjects.service_subject("0", "webhooks", "main"), b"x")
    await intruder.flush(30)
    async with asyncio.timeout(5):
        await producer.enqueue(command())
    assert (await nc.jetstream(timeout=30).stream_info("MP_CMD_0")).state.messages < sent, "it was refused some"
    await producer.close()
    await intruder.close()
    await nc.close()


async def test_who_sends_the_same_again_is_answered_though_the_first_left(
    nc: Client, producer: CommandProducer, intake: Pull
) -> None:
    same = command()
    first, second = (asyncio.create_task(producer.submit(same)) for _ in range(2))
    messages = await intake.take(10)
    first.cancel()
    await asyncio.wait({first})
    messages += await intake.take(10)
    await answer(nc, messages)
    assert (await second).command_id == same.command_id
