"""Promises of every intake: messages in order, nothing twice, nothing skipped; and listening takes nothing."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

import pytest
import pytest_asyncio
from mpbus.connect import connect
from mpbus.producer import REPLY_HEADER
from mpbus.streams import provision
from mpd.servers import NatsServer
from mpkernel.adapters.jetstream_intake import JetStreamIntake
from mpkernel.adapters.memory import MemoryCommands, MemoryIntake
from mpkernel.ports import CommandMessage, CommandsRenumbered, Intake
from mpschema import packs, subjects
from nats.aio.client import Client
from nats.js.errors import APIError

SHARD = "0"
REPLIES = subjects.reply_subject("gateway", "1")


class Commands(Protocol):
    """A command stream, from both sides."""

    def reader(self, wake: asyncio.Event) -> Intake: ...
    async def send(self, data: bytes) -> None: ...
    async def send_as(self, service: str, data: bytes) -> None: ...
    async def send_in_vain(self, data: bytes) -> None: ...


@dataclass
class InMemory:
    commands: MemoryCommands

    def reader(self, wake: asyncio.Event) -> Intake:
        return MemoryIntake(self.commands, wake)

    async def send(self, data: bytes) -> None:
        self.commands.tell(data, REPLIES)
        self.commands.publish(data, REPLIES)

    async def send_as(self, service: str, data: bytes) -> None:
        self.commands.publish(data, sender=f"system:{service}:main")

    async def send_in_vain(self, data: bytes) -> None:
        self.commands.tell(data, REPLIES)


@dataclass
class OnJetStream:
    nc: Client

    def reader(self, wake: asyncio.Event) -> Intake:
        return JetStreamIntake(self.nc, SHARD, wake)

    async def send(self, data: bytes) -> None:
        headers = {REPLY_HEADER: REPLIES}
        await self.nc.jetstream().publish(subjects.command_subject(SHARD), data, headers=headers)

    async def send_as(self, service: str, data: bytes) -> None:
        await self.nc.jetstream().publish(subjects.service_subject(SHARD, service, "main"), data)

    async def send_in_vain(self, data: bytes) -> None:
        headers = {REPLY_HEADER: REPLIES, "Nats-Expected-Last-Sequence": "999"}
        with pytest.raises(APIError, match="wrong last sequence"):
            await self.nc.jetstream().publish(subjects.command_subject(SHARD), data, headers=headers)


class Reader:
    """An intake, and patience."""

    def __init__(self, commands: Commands) -> None:
        self._wake = asyncio.Event()
        self.intake = commands.reader(self._wake)

    async def taken(self, count: int) -> list[CommandMessage]:
        """Return the messages that arrive, once there are so many."""
        found = self.intake.take_nowait()
        while len(found) < count:
            await self._woken()
            found += self.intake.take_nowait()
        return found

    async def heard(self) -> CommandMessage:
        """Return the next message on its way to the stream, once there is one."""
        while (message := self.intake.overhear()) is None:
            await self._woken()
        return message

    async def _woken(self) -> None:
        async with asyncio.timeout(30):
            await self._wake.wait()
        self._wake.clear()


@pytest_asyncio.fixture(params=["memory", "jetstream"])
async def commands(request: pytest.FixtureRequest, own_nats: NatsServer) -> AsyncIterator[Commands]:
    """An empty command stream."""
    if request.param == "memory":
        yield InMemory(MemoryCommands())
        return
    nc = await connect(own_nats.url, "tests", writer=True)
    await provision(nc, SHARD)
    yield OnJetStream(nc)
    await nc.close()


@pytest_asyncio.fixture
async def reader(commands: Commands) -> AsyncIterator[Reader]:
    """Its reader, from the start."""
    reader = Reader(commands)
    await reader.intake.open(0)
    yield reader
    await reader.intake.close()


def said(position: int, data: bytes) -> CommandMessage:
    return CommandMessage(position, REPLIES, data)


async def test_messages_come_in_order(commands: Commands, reader: Reader) -> None:
    for data in (b"a", b"b", b"b"):
        await commands.send(data)
    assert await reader.taken(3) == [said(1, b"a"), said(2, b"b"), said(3, b"b")]
    assert reader.intake.take_nowait() == []


async def test_whoever_comes_next_begins_after_what_is_consumed(commands: Commands, reader: Reader) -> None:
    for data in (b"a", b"b", b"c"):
        await commands.send(data)
    await reader.taken(3)
    await reader.intake.discard(1)
    await reader.intake.close()
    successor = Reader(commands)
    await successor.intake.open(2)
    assert await successor.taken(1) == [said(3, b"c")]
    await successor.intake.close()


async def test_what_waits_in_a_stream_made_anew_does_not_pass_for_consumed(commands: Commands, reader: Reader) -> None:
    for data in (b"a", b"b"):
        await commands.send(data)
    for asked in (reader.intake.look, reader.intake.discard, Reader(commands).intake.open):
        with pytest.raises(CommandsRenumbered, match=r"MP_CMD_0 was made anew: .* position 2, .* up to 3, so 2"):
            await asked(3)
    assert await reader.taken(2) == [said(1, b"a"), said(2, b"b")], "nothing was purged"
    await reader.intake.look(2)


async def test_an_empty_stream_made_anew_goes_on_after_what_is_consumed(commands: Commands, reader: Reader) -> None:
    await reader.intake.close()
    successor = Reader(commands)
    await successor.intake.open(7)
    await commands.send(b"a")
    assert await successor.taken(1) == [said(8, b"a")]
    await successor.intake.close()


async def test_what_was_answered_and_discarded_is_no_gap_to_whoever_comes_next(
    commands: Commands, reader: Reader
) -> None:
    """Repeats leave no trace in the log: what it says is consumed may lie before the stream's first message."""
    for data in (b"a", b"b", b"c"):
        await commands.send(data)
    await reader.taken(3)
    await reader.intake.discard(3)
    await reader.intake.close()
    successor = Reader(commands)
    assert await successor.intake.open(1) == 3
    await commands.send(b"d")
    assert await successor.heard() == said(4, b"d")
    assert await successor.taken(1) == [said(4, b"d")]
    await successor.intake.close()


async def test_what_is_given_to_one_who_reads_no_more_comes_to_the_next(commands: Commands, reader: Reader) -> None:
    """A paused leader does not know yet that it is none: the stream serves what it asked for."""
    successor = Reader(commands)
    await successor.intake.open(0)
    await commands.send(b"0")
    assert await successor.taken(1) == [said(1, b"0")], "the newest, with nothing behind it"
    for number in range(1, 10):
        await commands.send(b"%d" % number)
    assert await successor.taken(9) == [said(number + 1, b"%d" % number) for number in range(1, 10)]
    assert reader.intake.take_nowait(), "some were given to it"
    await successor.intake.close()


async def test_what_was_deleted_is_passed_over(own_nats: NatsServer) -> None:
    nc = await connect(own_nats.url, "tests", writer=True)
    await provision(nc, SHARD)
    commands, stream = OnJetStream(nc), subjects.command_stream(SHARD)
    for data in (b"a", b"b", b"c"):
        await commands.send(data)
    await nc.jetstream().delete_msg(stream, 2)
    reader = Reader(commands)
    await reader.intake.open(0)
    assert await reader.taken(2) == [said(1, b"a"), said(3, b"c")]
    await reader.intake.close()
    await nc.close()


async def test_a_message_is_heard_as_the_one_it_becomes(commands: Commands, reader: Reader) -> None:
    for position, data in enumerate((b"a", b"b"), 1):
        await commands.send(data)
        heard = await reader.heard()
        assert heard == said(position, data)
        assert reader.intake.overhear() is None, "told once"
        assert await reader.taken(1) == [heard]


async def test_what_has_arrived_is_not_on_its_way(commands: Commands, reader: Reader) -> None:
    await commands.send(b"a")
    await commands.send(b"b")
    assert len(await reader.taken(2)) == 2
    await commands.send(b"c")
    assert await reader.heard() == said(3, b"c")


async def test_what_the_stream_refuses_is_heard_and_never_comes(commands: Commands, reader: Reader) -> None:
    await commands.send_in_vain(b"a")
    assert await reader.heard() == said(1, b"a")
    await commands.send(b"b")
    assert await reader.taken(1) == [said(1, b"b")]


async def test_nobody_listens_after_the_end(commands: Commands, reader: Reader) -> None:
    await reader.intake.close()
    await commands.send_in_vain(b"a")
    await commands.send(b"b")
    await reader.intake.open(0)
    assert await reader.taken(1) == [said(1, b"b")]
    assert reader.intake.overhear() is None


async def test_a_service_is_known_by_its_subject(commands: Commands, reader: Reader) -> None:
    await commands.send_as("webhooks", b"a")
    assert await reader.taken(1) == [CommandMessage(1, "", b"a", "system:webhooks:main")]
    await commands.send(b"b")
    assert await reader.taken(1) == [said(2, b"b")]


async def test_what_services_sent_is_fetched_like_the_rest(commands: Commands, reader: Reader) -> None:
    successor = Reader(commands)
    await successor.intake.open(0)
    for number in range(8):
        await commands.send_as("webhooks", b"%d" % number)
    found = await successor.taken(8)
    assert [(message.position, message.sender) for message in found] == [
        (number + 1, "system:webhooks:main") for number in range(8)
    ]
    await successor.intake.close()


async def test_a_stream_takes_no_message_that_nobody_would_read(own_nats: NatsServer) -> None:
    nc = await connect(own_nats.url, "tests", writer=True)
    js, stream = nc.jetstream(), subjects.command_stream(SHARD)
    await provision(nc, SHARD)
    await js.update_stream((await js.stream_info(stream)).config.evolve(max_msg_size=8 << 20))
    await provision(nc, SHARD)
    headers = {REPLY_HEADER: REPLIES}
    await js.publish(subjects.command_subject(SHARD), b"x" * packs.BYTES_MAX, headers=headers)
    with pytest.raises(APIError, match="maximum"):
        await js.publish(subjects.command_subject(SHARD), b"x" * (packs.BYTES_MAX + 4_096), headers=headers)
    await nc.close()


@pytest.mark.parametrize("elsewhere", ["mp.v1.log.0", "mp.v1.cmd.0", "mp.v1.reply.*"])
async def test_answers_are_not_sent_where_none_are_awaited(own_nats: NatsServer, elsewhere: str) -> None:
    """The kernel may publish into the log: a message must not make it do so."""
    nc = await connect(own_nats.url, "tests", writer=True)
    await provision(nc, SHARD)
    reader = Reader(OnJetStream(nc))
    await reader.intake.open(0)
    await nc.jetstream().publish(subjects.command_subject(SHARD), b"a", headers={REPLY_HEADER: elsewhere})
    assert await reader.taken(1) == [CommandMessage(1, "", b"a")]
    await reader.intake.close()
    await nc.close()
