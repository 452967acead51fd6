"""The command stream as a work queue with one ordered reader, who also hears what is sent there."""

import asyncio
import contextlib

from mpbus.producer import REPLY_HEADER
from mpbus.pull import Pull, stream_sequence
from mpbus.streams import INTAKE_CONSUMER
from mpschema import subjects
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError

from mpkernel.hearing import Hearing
from mpkernel.ports import CommandMessage, IntakeUnavailable

_BATCH = 256


class JetStreamIntake:
    """The `Intake` of a cluster. `wake` is set when something arrives."""

    def __init__(self, nc: Client, shard: str, wake: asyncio.Event) -> None:
        self._nc = nc
        self._js = nc.jetstream(timeout=2)
        self._stream = subjects.command_stream(shard)
        self._subject = subjects.command_subject(shard)
        self._wake = wake
        self._taken = 0
        self._pull: Pull | None = None
        self._hearing = Hearing()
        self._listening: Subscription | None = None

    async def open(self, consumed: int) -> None:
        """See the port: purge what is consumed, reset the consumer so that the rest comes again in order, and pull."""
        await self.discard(consumed)
        try:
            await self._js.reset_consumer(self._stream, INTAKE_CONSUMER)
            self._taken = consumed
            self._listening = await self._nc.subscribe(self._subject, cb=self._on_sent)
            self._pull = await Pull(self._nc, self._stream, INTAKE_CONSUMER, batch=_BATCH, wake=self._wake).open()
        except (NatsError, TimeoutError) as error:
            await self.close()
            raise IntakeUnavailable(str(error) or type(error).__name__) from error

    def take_nowait(self) -> list[CommandMessage]:
        """See the port."""
        assert self._pull is not None
        messages = [self._message(msg) for msg in self._pull.take_nowait()]
        if not messages:
            self._pull.check()
        for message in messages:
            self._hearing.arrived(message)
        return [message for message in messages if self._is_next(message)]

    def overhear(self) -> CommandMessage | None:
        """See the port. The server hands a message to whoever listens while it stores it."""
        return self._hearing.next(self._taken + 1)

    def _is_next(self, message: CommandMessage) -> bool:
        """Whether the message is new. One that was delivered before comes again only after a very late redelivery."""
        if message.position <= self._taken:
            return False
        self._taken = message.position
        return True

    async def discard(self, consumed: int) -> None:
        """See the port. One purge: acknowledging message by message would cost a flush each."""
        if not consumed:
            return
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

    async def _on_sent(self, msg: Msg) -> None:
        self._hearing.hear(_reply_to(msg), msg.data)
        self._wake.set()

    @staticmethod
    def _message(msg: Msg) -> CommandMessage:
        return CommandMessage(stream_sequence(msg), _reply_to(msg), msg.data)


def _reply_to(msg: Msg) -> str:
    return (msg.headers or {}).get(REPLY_HEADER, "")
