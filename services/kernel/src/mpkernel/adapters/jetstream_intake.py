"""The command stream as a work queue with one ordered reader, who also hears what is sent there."""

import asyncio
import contextlib
from collections import deque

import structlog
from mpbus.errors import ConsumerLost
from mpbus.producer import REPLY_HEADER
from mpbus.pull import Pull, stream_sequence
from mpbus.streams import INTAKE_CONSUMER
from mpbus.tasks import end
from mpschema import subjects
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError
from nats.js.api import RawStreamMsg

from mpkernel.hearing import Hearing
from mpkernel.ports import CommandMessage, CommandsRenumbered, IntakeUnavailable

_BATCH = 256
_FETCH_SECONDS_MAX = 5.0
_FETCH_RETRY_SECONDS = 0.1
_ANY = ">"
log = structlog.get_logger(__name__)


class JetStreamIntake:
    """The `Intake` of a cluster. `wake` is set when something arrives.

    What does not arrive is fetched: a message may be lost with a connection, or go to a leader that was paused and does
    not know yet that it is none, because the stream serves what it asked for.
    """

    def __init__(self, nc: Client, shard: str, wake: asyncio.Event) -> None:
        self._nc = nc
        self._js = nc.jetstream(timeout=2)
        self._stream = subjects.command_stream(shard)
        self._subject = subjects.command_subject(shard)
        self._wake = wake
        self._taken = 0
        self._complete = 0
        """The last position without a gap before it: all was taken or fetched, or is gone from the stream."""
        self._held: deque[CommandMessage] = deque()
        """Messages that arrived and were not taken, as an earlier one is missing."""
        self._fetching: asyncio.Task[list[CommandMessage]] | None = None
        self._pull: Pull | None = None
        self._hearing = Hearing()
        self._listening: Subscription | None = None
        """The subscription, to gateways alone: no service is in a hurry, and a flood of one would drown deliveries."""

    async def look(self, consumed: int) -> None:
        """See the port."""
        try:
            state = (await self._js.stream_info(self._stream)).state
        except (NatsError, TimeoutError) as error:
            raise IntakeUnavailable(str(error) or type(error).__name__) from error
        if state.messages and state.last_seq < consumed:
            raise CommandsRenumbered(self._stream, state.last_seq, consumed, state.messages)

    async def open(self, consumed: int) -> int:
        """See the port: purge what is consumed, reset the consumer so that the rest comes again in order, and pull."""
        await self.discard(consumed)
        try:
            await self._js.reset_consumer(self._stream, INTAKE_CONSUMER)
            state = (await self._js.stream_info(self._stream)).state
            first = state.first_seq if state.messages else state.last_seq + 1
            self._taken = self._complete = max(consumed, first - 1)  # Answered repeats are gone that no log speaks of.
            self._listening = await self._nc.subscribe(self._subject, cb=self._on_sent)
            self._pull = await Pull(self._nc, self._stream, INTAKE_CONSUMER, batch=_BATCH, wake=self._wake).open()
            return state.last_seq
        except (NatsError, TimeoutError) as error:
            await self.close()
            raise IntakeUnavailable(str(error) or type(error).__name__) from error

    def take_nowait(self) -> list[CommandMessage]:
        """See the port."""
        assert self._pull is not None
        if self._fetching is not None:
            if not self._fetching.done():
                self._pull.check()
                return []
            self._held.extendleft(reversed(self._fetching.result()))
            self._fetching = None
        messages = self._pull.take_nowait()
        if not messages:
            self._pull.check()
        self._held.extend(map(_message, messages))
        taken = self._take_held()
        self._begin_fetch(self._held[0].position if self._held else self._pull.lacking + 1)
        return taken

    def overhear(self) -> CommandMessage | None:
        """See the port. The server hands a message to whoever listens while it stores it."""
        return self._hearing.next(self._taken + 1)

    def _take_held(self) -> list[CommandMessage]:
        """All up to the next gap. What was taken before comes again only after a very late redelivery."""
        taken: list[CommandMessage] = []
        while self._held and self._held[0].position <= max(self._taken, self._complete) + 1:
            message = self._held.popleft()
            if message.position > self._taken:
                self._taken = message.position
                self._hearing.arrived(message)
                taken.append(message)
        return taken

    def _begin_fetch(self, before: int) -> None:
        first = max(self._taken, self._complete) + 1
        if first < before:
            self._fetching = asyncio.create_task(self._fetch(first, before))
            self._fetching.add_done_callback(lambda _: self._wake.set())

    async def _fetch(self, first: int, before: int) -> list[CommandMessage]:
        """Return the stream's messages from one position up to another. Raises `ConsumerLost`."""
        found: list[CommandMessage] = []
        while first < before:
            stored = await self._next_stored(first)
            position = int(stored.seq or 0)
            if position < before:
                found.append(_command(position, str(stored.subject), stored.headers, stored.data or b""))
            first = position + 1
        self._complete = before - 1
        log.info("intake.fetched", messages=len(found), up_to=self._complete)
        return found

    async def _next_stored(self, first: int) -> RawStreamMsg:
        """Return the first message at a position or after it. Asks again while the stream has no leader."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _FETCH_SECONDS_MAX
        while True:
            try:
                return await self._js.get_msg(self._stream, seq=first, subject=_ANY, next=True)
            except (NatsError, TimeoutError) as error:
                if loop.time() > deadline:
                    raise ConsumerLost(f"position {first} of the command stream did not arrive: {error}") from error
            await asyncio.sleep(_FETCH_RETRY_SECONDS)

    async def discard(self, consumed: int) -> None:
        """See the port. One purge: acknowledging message by message would cost a flush each.

        An empty stream of lower positions goes on after what is consumed.
        """
        if not consumed:
            return
        await self.look(consumed)
        try:
            await self._js.purge_stream(self._stream, seq=consumed + 1)
        except (NatsError, TimeoutError) as error:
            raise IntakeUnavailable(str(error) or type(error).__name__) from error

    async def close(self) -> None:
        """See the port."""
        if self._listening is not None and not self._nc.is_closed:
            with contextlib.suppress(NatsError):  # The connection is gone, and the subscription with it.
                await self._listening.unsubscribe()
        self._listening = None
        if self._pull is not None:
            await self._pull.close()
            self._pull = None
        self._held.clear()
        if self._fetching is not None:
            await end(self._fetching)
            self._fetching = None

    async def _on_sent(self, msg: Msg) -> None:
        heard = _command(0, msg.subject, msg.headers, msg.data)
        self._hearing.hear(heard.reply_to, heard.data)
        self._wake.set()


def _message(msg: Msg) -> CommandMessage:
    return _command(stream_sequence(msg), msg.subject, msg.headers, msg.data)


def _command(position: int, subject: str, headers: dict[str, str] | None, data: bytes) -> CommandMessage:
    """A message with its sender from its subject. Where it wants its answers is believed only if they may go there."""
    sender, reply_to = subjects.sender(subject), (headers or {}).get(REPLY_HEADER, "")
    return CommandMessage(position, reply_to if subjects.answerable(reply_to, sender) else "", data, sender)
