"""The command producer: packs what arrives while its publish is in flight, so nobody waits for a batch to fill.

A producer subscribes to outcomes on its own core subjects. A command without an outcome is sent again under its
idempotency key after a while: the kernel then answers from its record, so a lost reply costs time and never doubles an
effect.

Clients choose the ids of commands, and two of them may choose the same. So an answer belongs to the pack that asked,
and no pack holds an id twice: nobody is given the outcome of another's command.
"""

import asyncio
import contextlib
import itertools
import secrets
from collections import deque

import msgspec
import structlog
from mpschema import codec, subjects
from mpschema.envelope import CommandEnvelope, Outcome
from mpschema.packs import PACK_BYTES_MAX, PACK_COMMANDS_MAX
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.errors import APIError

from mpbus.acked import AckedPublisher
from mpbus.errors import BrokerUnavailable, IntakeFull, OutcomeTimeout, PermissionsViolation
from mpbus.tasks import end, watched

log = structlog.get_logger(__name__)
REPLY_HEADER = "Mp-Reply"
_RESEND_SECONDS = 1.5
_TICK_SECONDS = 0.25
_PUBLISH_SECONDS = 2.0
_BUSY = 10167
"""The server's code for a full write queue: it takes nothing more just now."""
_FULL = {10077, 10122, _BUSY}
"""The server's codes for a stream that takes nothing: it has too many messages, or bytes, or is busy."""
_BUSY_SECONDS = 4.0
"""The time for which a publish to a busy server is tried again."""
_BUSY_PAUSE_SECONDS = 0.001
"""The pause between two attempts: the server refuses when it has stored much, and has room a moment later."""


class _Waiting(msgspec.Struct):
    command_id: str
    line: bytes
    future: "asyncio.Future[Outcome]"
    deadline: float
    resend_at: float
    resend_after: float = _RESEND_SECONDS
    packs: list[str] = []
    """The packs that it was sent in and that have no answer yet, by number."""


class _Send(msgspec.Struct):
    line: bytes
    command_id: str
    waiting: _Waiting | None = None
    """The one that waits for the outcome."""
    stored: "asyncio.Future[None] | None" = None
    """The one that waits for it to be durable."""


class CommandProducer:
    """A sender of commands to one shard's kernel, and receiver of their outcomes. One a process is enough."""

    def __init__(
        self, nc: Client, shard: str, *, user: str = "gateway", instance: str = "", in_flight_max: int = 4096
    ) -> None:
        """`user` is who the connection is of. With `instance` it is a service, and sends on a subject of its own."""
        self._nc = nc
        self._publisher = AckedPublisher(nc, _PUBLISH_SECONDS)
        self._subject = subjects.service_subject(shard, user, instance) if instance else subjects.command_subject(shard)
        self._reply = subjects.reply_subject(user, secrets.token_hex(8))
        self._numbers = itertools.count(1)
        self._in_flight_max = in_flight_max
        self._waiting: dict[tuple[str, str, str], _Waiting] = {}
        """The commands without an outcome, by sender and command id."""
        self._asked: dict[str, dict[str, _Waiting]] = {}
        """The outcomes that each pack still waits for: its number, then the command's id."""
        self._pending: deque[_Send] = deque()
        self._wake = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop
        """The event loop of `start`: in Python 3.11 to ask for the running loop takes a system call."""
        self._tasks: list[asyncio.Task[None]] = []
        self._failed = ""

    async def start(self) -> None:
        """Listen for outcomes and begin to send."""
        self._loop = asyncio.get_running_loop()
        self._subscription = await self._nc.subscribe(f"{self._reply}.*", cb=self._on_reply)
        self._tasks = [
            watched(self._pump(), "producer.pump", self._end_with),
            watched(self._watch(), "producer.watch", self._end_with),
        ]

    async def close(self) -> None:
        """Stop. Whoever still waits gets `BrokerUnavailable`."""
        await end(*self._tasks)
        self._give_up(BrokerUnavailable("the producer was closed"))
        with contextlib.suppress(NatsError):
            await self._subscription.unsubscribe()

    def _end_with(self, error: BaseException) -> None:
        """Fail everything that waits for a task of ours that has failed, and everything that would."""
        self._failed = f"the producer has failed: {type(error).__name__}: {error}"
        self._give_up(BrokerUnavailable(self._failed))

    def _give_up(self, error: BrokerUnavailable) -> None:
        for waiting in self._waiting.values():
            if not waiting.future.done():
                waiting.future.set_exception(error)
        self._fail_stored(list(self._pending), error)

    @property
    def in_flight(self) -> int:
        """The number of commands that wait for their outcome here."""
        return len(self._waiting)

    async def submit(self, envelope: CommandEnvelope, timeout_seconds: float = 10.0) -> Outcome:
        """Send a command and wait for its recorded outcome, acceptance or refusal.

        Raises `IntakeFull` (nothing was taken), `PermissionsViolation` (NATS refuses this process the subject), and
        `BrokerUnavailable` or `OutcomeTimeout` (repeat with the same key to learn).
        """
        line = codec.encode(envelope)
        asker = (envelope.workspace_id, envelope.principal, envelope.command_id)
        while (already := self._waiting.get(asker)) is not None:
            await asyncio.wait([already.future])
            if already.line == line and not already.future.cancelled():
                return already.future.result()
            # Another request under the same id, or one whose sender left: it goes, then this learns what the log says.
            await asyncio.sleep(0)
        self._admit()
        now = self._loop.time()
        command_id = envelope.command_id
        future: asyncio.Future[Outcome] = self._loop.create_future()
        waiting = _Waiting(command_id, line, future, now + timeout_seconds, now + _RESEND_SECONDS)
        self._waiting[asker] = waiting
        self._pending.append(_Send(line, command_id, waiting))
        self._wake.set()
        try:
            return await future
        finally:
            self._waiting.pop(asker, None)
            if waiting.packs:
                self._forget(waiting)

    async def enqueue(self, envelope: CommandEnvelope) -> None:
        """Send a command and return when it is durable in the command stream; its outcome is for later.

        Raises `IntakeFull`, `PermissionsViolation` or `BrokerUnavailable`.
        """
        self._admit()
        stored: asyncio.Future[None] = self._loop.create_future()
        self._pending.append(_Send(codec.encode(envelope), envelope.command_id, stored=stored))
        self._wake.set()
        await stored

    def _admit(self) -> None:
        if self._failed:
            raise BrokerUnavailable(self._failed)
        if len(self._waiting) + len(self._pending) >= self._in_flight_max:
            raise IntakeFull(f"{self._in_flight_max} commands are in flight here already")

    async def _pump(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._pending:
                pack = self._pack()
                try:
                    await self._publish(pack)
                except Exception as error:
                    # A fault that one pack meets is not everybody's: else all would wait in vain.
                    log.critical("producer.pack_failed", commands=len(pack), exc_info=error)
                    self._fail(pack, error)

    def _forget(self, waiting: _Waiting) -> None:
        """Take no more answers for it, from whichever pack."""
        for number in waiting.packs:
            asked = self._asked.get(number)
            if asked is not None and asked.pop(waiting.command_id, None) is not None and not asked:
                del self._asked[number]

    def _pack(self) -> list[_Send]:
        """Take what waits to be sent, up to a command whose id is in the pack already."""
        pack: list[_Send] = []
        ids: set[str] = set()
        size = 0
        while self._pending and len(pack) < PACK_COMMANDS_MAX and size < PACK_BYTES_MAX:
            send = self._pending[0]
            if send.command_id in ids:
                break
            self._pending.popleft()
            if send.waiting is not None and send.waiting.future.done():
                continue  # Its outcome came, or it was given up, before it could be sent again.
            ids.add(send.command_id)
            pack.append(send)
            size += len(send.line)
        return pack

    async def _publish(self, pack: list[_Send]) -> None:
        if not pack:
            return
        number = str(next(self._numbers))
        asked = {send.command_id: send.waiting for send in pack if send.waiting is not None}
        if asked:
            self._asked[number] = asked
            for waiting in asked.values():
                waiting.packs.append(number)
        data = b"\n".join([send.line for send in pack])
        try:
            await self._store(data, {REPLY_HEADER: f"{self._reply}.{number}"})
        except APIError as error:
            full = error.err_code in _FULL
            self._fail(
                pack, IntakeFull("the command stream is full, or busy") if full else BrokerUnavailable(str(error))
            )
        except PermissionsViolation as error:
            self._fail(pack, error)  # Sent again it would be refused again.
        except (NatsError, TimeoutError) as error:
            # Those who wait for an outcome are sent again by the watch; the others must know now.
            self._fail_stored(
                pack, BrokerUnavailable(f"the stream server did not answer: {error or type(error).__name__}")
            )
        else:
            for send in pack:
                if send.stored is not None and not send.stored.done():
                    send.stored.set_result(None)

    async def _store(self, data: bytes, headers: dict[str, str]) -> None:
        """Publish a pack; try again for a while if the server has no room. Raises as the publisher does."""
        until = self._loop.time() + _BUSY_SECONDS
        while True:
            try:
                await self._publisher.publish(self._subject, data, headers)
                return
            except APIError as error:
                if error.err_code != _BUSY or self._loop.time() > until:
                    raise
            await asyncio.sleep(_BUSY_PAUSE_SECONDS)

    def _fail(self, pack: list[_Send], error: Exception) -> None:
        for send in pack:
            if send.waiting is not None and not send.waiting.future.done():
                send.waiting.future.set_exception(error)
        self._fail_stored(pack, error)

    def _fail_stored(self, pack: list[_Send], error: Exception) -> None:
        for send in pack:
            if send.stored is not None and not send.stored.done():
                send.stored.set_exception(error)

    async def _on_reply(self, msg: Msg) -> None:
        number = msg.subject.rpartition(".")[2]
        asked = self._asked.get(number)
        if asked is None:
            return  # All of its outcomes are known already.
        for outcome in codec.decode_outcomes(msg.data):
            waiting = asked.pop(outcome.request_id or outcome.command_id, None)
            if waiting is not None:
                waiting.packs.remove(number)
                if not waiting.future.done():
                    waiting.future.set_result(outcome)
        if not asked:
            self._asked.pop(number, None)

    async def _watch(self) -> None:
        """Send again what has no outcome yet, and give up what is past its deadline."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            now = loop.time()
            for waiting in list(self._waiting.values()):
                if waiting.future.done():
                    continue
                if waiting.deadline <= now:
                    waiting.future.set_exception(OutcomeTimeout(waiting.command_id))
                elif waiting.resend_at <= now:
                    waiting.resend_after *= 2
                    waiting.resend_at = now + waiting.resend_after
                    self._pending.append(_Send(waiting.line, waiting.command_id, waiting))
                    self._wake.set()
