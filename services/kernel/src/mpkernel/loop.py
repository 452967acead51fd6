"""The leader's loop: take what waits, decide it, store it as one commit, answer. Then again.

Exactly one commit is in flight. While it is, the next turn is decided on the speculative state. Any failure ends the
leadership, and the state built on what was not stored is dropped with it.

Where nothing waits, a message is decided speculatively, on its way to its stream. It is answered only when the
stream delivers it, next and the same; else it is rolled back, and what the stream delivers is decided.

What if we stop right here? Before the commit: the commands still wait in their stream. After the commit and before the
answer: the producer asks again and gets the recorded outcome. After the answer and before the discard: the next leader
reads the consumed position from the log and discards for us.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace

import structlog
from mpbus.reader import LogPosition
from mpbus.tasks import end
from mpcore.access.verdict import Authorizer
from mpcore.engine.commit import COMMANDS_MAX, TURN_SECONDS, limits_of
from mpcore.engine.sealed import Sealed
from mpcore.engine.shard import Shard
from mpcore.engine.timers import due, next_due
from mpcore.engine.turn import Turn
from mpcore.state.facts import Fact
from mpschema import codec, levels
from mpschema.system import LOG, FeatureLevelRaised, LeaderElected
from mpstore.log import LogWriter

from mpkernel.answers import Answers, pack, pack_beside
from mpkernel.discarding import Discards
from mpkernel.metrics import KernelMetrics
from mpkernel.ports import CommandMessage, Intake, RecordedTime
from mpkernel.quarantine import Quarantine, decide_tried
from mpkernel.sealing import Sealing
from mpkernel.telling import Telling
from mpkernel.watch import HeadWatch

log = structlog.get_logger(__name__)
TIMERS_MAX = 500
"""Timers fired in one turn, at most."""
STEP_MESSAGES_MAX = 32
"""Messages decided before the loop looks up again, so that a finished commit never waits long."""
BACKLOG_MESSAGES_MAX = 2_000
AHEAD_SECONDS_MAX = 0.25
"""The time that a speculative decision may wait for the stream to deliver its message."""
_CHECK_SECONDS = 0.5


@dataclass(frozen=True)
class Candidacy:
    """The node that takes over, with its limits and the policy inputs that its election records."""

    node: str
    subject: str
    operators: tuple[str, ...]
    commit_deadline_seconds: float
    process: str
    """This start of this kernel, and no other."""
    turn_seconds: float = TURN_SECONDS
    """The time that a turn may decide. A turn that used it up is stored, and the rest waits for the next."""
    ticks: Callable[[], float] = time.perf_counter
    look_bytes: int = 0
    """So much is recorded between two looks at them, within a message."""


@dataclass(frozen=True, slots=True)
class _Ahead:
    """A message decided before its stream delivered it: the turn it makes, and its deadline."""

    message: CommandMessage
    turn: Turn
    whole: bool
    """True where the turn takes the whole message."""
    until: float


class Leader:
    """One leadership, from election to step-down. Never reused."""

    def __init__(
        self,
        candidacy: Candidacy,
        shard: Shard,
        position: LogPosition,
        *,
        clock: RecordedTime,
        writer: LogWriter,
        intake: Intake,
        answers: Answers,
        authorizer: Authorizer,
        sealing: Sealing,
        metrics: KernelMetrics,
        wake: asyncio.Event,
    ) -> None:
        self._candidacy = candidacy
        self._shard = shard
        self._position = position
        self._epoch = shard.world.epoch + 1
        self._clock = clock
        self._writer = writer
        self._intake = intake
        self._answers = answers
        self._authorizer = authorizer
        self._sealing = sealing
        self._metrics = metrics
        self._telling = Telling(metrics, self._epoch)
        self._wake = wake
        self._limits = limits_of(writer.commit_bytes_max, candidacy.turn_seconds, candidacy.look_bytes)
        self._backlog: deque[CommandMessage] = deque()
        self._turn: Turn | None = None
        self._ahead: _Ahead | None = None
        """The message of a speculative turn, until the stream delivers it."""
        self._in_flight: asyncio.Task[None] | None = None
        self._discards = Discards(intake, shard.command_position)
        self._watch = HeadWatch(writer, wake)
        self._quarantine = Quarantine(shard, candidacy.process)
        self._alarm: asyncio.TimerHandle | None = None
        self._ended: str | None = None
        self.decided = False
        """True once more than the election was stored, or a request was answered from the log."""

    @property
    def epoch(self) -> int:
        """The epoch of this leadership."""
        return self._epoch

    @property
    def position(self) -> LogPosition:
        """The newest commit known to be stored."""
        return self._position

    def step_down(self, reason: str) -> None:
        """Take nothing more, and end once what is in flight is known."""
        self._ended = self._ended or reason
        self._wake.set()

    async def lead(self) -> str:
        """Be elected by the log, then decide until told to step down. Returns why it ended.

        Raises `Deposed`, `Unknown`, `ConsumerLost`, `ClockDistrusted` or `CommandsRenumbered`: the state is then worth
        nothing any more.
        """
        self._clock.begin(self._shard.world.time_ms)
        await self._intake.look(self._shard.command_position)  # Who could decide nothing adds no election to the log.
        await self._elect()
        await self._clock.confirm(self._position.stream_seq)
        self._quarantine.begin(await self._intake.open(self._shard.command_position))
        if self._quarantine.open:
            log.warning("lane.begun", epoch=self._epoch, elections=self._shard.world.unmoved_elections)
        self._wake.set()
        try:
            while self._ended is None:
                await self._wait()
                await self._step()
            if self._in_flight is not None:
                await self._in_flight
            return self._ended
        finally:
            await self._close()

    async def _elect(self) -> None:
        turn = self._new_turn()
        elected = LeaderElected(
            leader_epoch=self._epoch,
            node=self._candidacy.node,
            operators=self._candidacy.operators,
            policy_digest=self._authorizer.digest,
        )
        founding = self._shard.world.seq == 0
        turn.note(Fact(LOG, LOG, elected), f"election_{self._epoch}:0")
        if founding and levels.FEATURE_LEVEL > levels.FIRST_LEVEL:
            turn.note(Fact(LOG, LOG, FeatureLevelRaised(level=levels.FEATURE_LEVEL)), f"election_{self._epoch}:1")
        if (survived := self._quarantine.survived()) is not None:
            turn.note(Fact(LOG, LOG, survived), f"survived_{self._epoch}:0")
        await self._store(self._seal(turn))
        log.info("leader.elected", epoch=self._epoch, seq=self._position.seq)

    async def _wait(self) -> None:
        """Until something arrived, finished or is due. Wakes at intervals all the same, to notice a silent intake."""
        if not self._wake.is_set():
            self._metrics.count()
            self._set_alarm()
            await self._wake.wait()
        self._wake.clear()

    def _set_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = asyncio.get_running_loop().call_later(self._pause(), self._wake.set)

    def _pause(self) -> float:
        """Seconds in which nothing is to be done. A turn that waits to be stored takes no timer of a later moment."""
        if self._ahead is not None:
            return max(0.0, self._ahead.until - asyncio.get_running_loop().time())
        soonest = next_due(self._shard.world)
        stores_a_line = self._quarantine.open and self._in_flight is not None  # What is due meanwhile comes after it.
        if soonest is None or self._turn is not None or stores_a_line:
            return _CHECK_SECONDS
        return min(_CHECK_SECONDS, max(0, soonest - self._clock.now_ms()) / 1000)

    async def _step(self) -> None:
        if self._in_flight is not None and self._in_flight.done():
            self._in_flight.result()
            self._in_flight = None
        self._watch.look(self._position if self._in_flight is None else None)
        if len(self._backlog) < BACKLOG_MESSAGES_MAX:
            taken = self._intake.take_nowait()
            self._backlog.extend(taken)
            self._discards.took(sum(len(message.data) for message in taken))
        if self._quarantine.open:
            self._go_line_by_line()
        else:
            self._go_on()
        self._discards.begin()
        await asyncio.sleep(0)  # Let the commit out, and acknowledgements and new commands in.

    def _go_on(self) -> None:
        self._settle()
        if self._ahead is None:
            self._fire_timers()
            self._decide()
        if self._turn is None:
            self._decide_ahead()
        if self._in_flight is None and self._ahead is None:
            self._begin_commit()
        if self._backlog and not (self._turn is not None and self._turn.full):
            self._wake.set()

    def _go_line_by_line(self) -> None:
        """See `mpkernel.quarantine`. Nothing is decided while something is in flight, and nothing ahead."""
        if self._in_flight is not None:
            return
        self._fire_timers()
        self._begin_commit()
        if self._in_flight is not None or not self._backlog:
            return
        if self._quarantine.covers(self._backlog[0]):
            self._launch(self._try_line(self._backlog[0]))
        else:
            log.info("lane.ended", epoch=self._epoch)
            self._wake.set()

    async def _try_line(self, message: CommandMessage) -> None:
        """Say which line is next, and only then decide it: if this ends here, the next leader knows where."""
        tried, tries = self._quarantine.trial(message)
        turn = self._new_turn()
        turn.note(Fact(LOG, LOG, tried), f"try_{self._epoch}_{tried.position}_{tried.line}:0")
        await self._store(self._seal(turn))
        named = {"position": tried.position, "line": tried.line, "tries": len(tries)}
        log.warning("line.tried", **named)
        turn = self._new_turn(commands=1)
        whole, refused = decide_tried(turn, message, tried, tries)
        self._metrics.tried(refused=refused)
        if refused:
            log.error("line.refused", **named)
        if turn.empty:
            self._answer_repeats(turn)
        else:
            await self._commit(self._seal(turn))
        if whole:
            self._backlog.popleft()

    def _launch(self, work: Coroutine[None, None, None]) -> None:
        self._in_flight = asyncio.create_task(work)
        self._in_flight.add_done_callback(lambda _: self._wake.set())

    def _new_turn(self, commands: int = COMMANDS_MAX) -> Turn:
        candidacy = self._candidacy
        return Turn(
            self._shard,
            self._epoch,
            self._clock.now_ms(),
            self._authorizer,
            limits=self._limits if commands == COMMANDS_MAX else replace(self._limits, commands=commands),
            ticks=candidacy.ticks,
        )

    def _fire_timers(self) -> None:
        now_ms = self._clock.now_ms() if self._turn is None else self._turn.now_ms
        soonest = next_due(self._shard.world)
        if soonest is None or soonest > now_ms:
            return
        turn = self._turn = self._turn or self._new_turn()
        for timer in due(self._shard.world, now_ms, TIMERS_MAX):
            if turn.full:
                return
            turn.fire(timer)

    def _decide(self) -> None:
        if self._turn is not None and self._in_flight is None:
            return  # It can be stored now.
        for _ in range(min(STEP_MESSAGES_MAX, len(self._backlog))):
            turn = self._turn = self._turn or self._new_turn()
            if turn.full:
                return
            message = self._backlog[0]
            if not turn.take(message.position, message.reply_to, message.data, message.sender):
                return  # It is full, and the message goes on in the next.
            self._backlog.popleft()
            if self._in_flight is None and not turn.idle:
                return  # The log is idle: store this now, decide the rest meanwhile.

    def _decide_ahead(self) -> None:
        message = self._intake.overhear()
        if message is None:
            return
        turn = self._turn = self._new_turn()
        turn.revocable = True
        whole = turn.take(message.position, message.reply_to, message.data, message.sender)
        self._ahead = _Ahead(message, turn, whole, asyncio.get_running_loop().time() + AHEAD_SECONDS_MAX)

    def _settle(self) -> None:
        """Keep the speculative turn if the stream delivers its message next.

        Roll it back if the stream delivers another message, or nothing in time.
        """
        ahead = self._ahead
        if ahead is None:
            return
        said = self._backlog[0] if self._backlog else None
        if said is None and asyncio.get_running_loop().time() < ahead.until:
            return
        self._ahead = None
        stands = said == ahead.message
        if stands:
            ahead.turn.revocable = False
            if ahead.whole:
                self._backlog.popleft()
        else:
            ahead.turn.undo.run()
            self._turn = None
        self._metrics.settled(stands=stands)

    def _begin_commit(self) -> None:
        turn, self._turn = self._turn, None
        checkpoint = self._sealing.take_checkpoint()
        if checkpoint is not None:
            turn = turn or self._new_turn()
            turn.note(Fact(LOG, LOG, checkpoint), f"checkpoint_{checkpoint.at_seq}:0")
        if turn is None:
            return
        if turn.empty:
            self._answer_repeats(turn)
        else:
            self._launch(self._commit(self._seal(turn)))

    def _answer_repeats(self, turn: Turn) -> None:
        """Of a turn that records nothing. All before it is stored, as nothing else is in flight."""
        self._telling.tell(turn)
        self._metrics.repeated(turn.replies)
        self._answers.send(pack(turn.replies), self._epoch)
        self.decided = True
        self._discards.consumed(self._shard.command_position)

    def _seal(self, turn: Turn) -> Sealed:
        """Close the turn. Nothing may be decided between this and the look the sealing takes at the state."""
        self._telling.tell(turn)
        sealed = turn.seal(self._position.hash)
        self._sealing.look(sealed, self._shard)
        return sealed

    async def _commit(self, sealed: Sealed) -> None:
        await self._store(sealed)
        self.decided = True

    async def _store(self, sealed: Sealed) -> None:
        """One commit, stored. Whatever follows from it happens after."""
        after = self._position
        commit_hash = codec.commit_hash(after.hash, self._candidacy.subject, sealed.data)
        deadline = self._candidacy.commit_deadline_seconds
        started = time.perf_counter()
        packing = asyncio.create_task(pack_beside(sealed.replies))
        stream_seq = await self._writer.append(sealed.data, commit_hash, after, deadline)
        seconds = time.perf_counter() - started
        self._position = LogPosition(stream_seq, sealed.last_seq, commit_hash)
        self._discards.consumed(sealed.header.command_position)
        self._answers.stored(sealed.header.first_seq, stream_seq)
        self._answers.send(await packing, self._epoch)
        self._metrics.committed(sealed, seconds)
        self._sealing.stored(self._position)

    async def _close(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        if self._in_flight is not None:
            await end(self._in_flight)
        await self._discards.close()
        await self._watch.close()
        await self._sealing.close()
        await self._intake.close()
        self._telling.close()
        self._metrics.count()
