"""One turn of the kernel: waiting commands decided in order, in memory, into one commit.

Pure but for the shard it advances: time, epoch and bytes come in; what to store and whom to answer come out.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from mpschema import codec, packs
from mpschema.base import Command
from mpschema.envelope import CommandEnvelope, CommitHeader, Outcome, Status
from mpschema.levels import HOUSE_LEVEL, SPLIT_LEVEL
from mpschema.rejections import Code, Rejection
from mpschema.subjects import SYSTEM_PREFIX
from mpschema.system import SYSTEM_WORKSPACE, CommandRejected
from msgspec.structs import replace

from mpcore.access.senders import attributed, usurped
from mpcore.access.verdict import Authorizer, Verdict
from mpcore.engine.commit import NoRoom, Overfull
from mpcore.engine.decide import decide, target_of
from mpcore.engine.places import first_seq, same_request
from mpcore.engine.recorder import KERNEL, OutcomeRow, TooMuch, follow, recorder_of
from mpcore.engine.sealed import Fault, Repeat, Reply, Sealed
from mpcore.engine.texts import Use
from mpcore.engine.timers import Timer, expiry, fired, set_aside, waits
from mpcore.engine.unread import Unread
from mpcore.state.deadlines import SWEEP
from mpcore.state.facts import Fact
from mpcore.state.rules import DecisionContext, Inputs

FACTS_MAX = 8_192
"""Events one command may become. A larger cascade is refused: its turn must end in time."""
_ACCEPTED = Status.ACCEPTED


@dataclass(slots=True)
class Turn(Unread):
    """A turn being decided on a shard's speculative state."""

    authorizer: Authorizer
    inputs: Inputs = field(init=False)
    """The recorded inputs of every decision of the turn."""
    swept: bool = field(default=False, init=False)
    """True once a sweep has taken its step: a turn takes one."""
    verdicts: list[Verdict] = field(default_factory=list, init=False)
    """The verdict on each request that policy was asked about."""
    ticks: Callable[[], float] = field(default=float, kw_only=True)
    """Seconds of a clock that only the limit looks at; it stands still unless one is handed in."""
    seconds: float = field(default=0.0, init=False)
    """The time for which it has decided, in seconds."""
    look_at: int = field(default=0, init=False)
    """The size at which to look again: to read the clock for every line would cost much of what deciding it costs."""
    closed: bool = field(default=False, init=False)
    """True once a message is begun, or waits, whose rest belongs to the next turn."""
    commands: int = field(default=0, init=False)
    replies: dict[str, list[Reply]] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        Unread.__post_init__(self)
        self.inputs = Inputs(self.now_ms)

    @property
    def full(self) -> bool:
        """True when the turn must be stored before it takes more."""
        limits = self.limits
        return (
            self.closed
            or self.commands >= limits.commands
            or self.size >= limits.size
            or self.seconds >= limits.seconds
        )

    @property
    def idle(self) -> bool:
        """True while it has nothing to store, and nobody to answer."""
        return self.empty and not any(self.replies.values())

    def take(self, position: int, reply_to: str, data: bytes, sender: str = "") -> bool:
        """Decide the commands of one message of the command stream, from where the turn before this left it.

        Returns whether that was all of them: the rest belongs to the next turn, and this takes nothing more. A message
        beyond what producers send is refused as a whole. `sender` is the service whose message it is; empty for a
        gateway.
        """
        if self.bounded and (excess := packs.excess(data)):
            return self._refuse_whole(position, excess, reply_to, sender)
        return self._take(position, reply_to, data.split(packs.NEWLINE), sender)

    def _take(self, position: int, reply_to: str, lines: list[bytes], sender: str) -> bool:
        """Do the same with the lines of one that is none such."""
        shard, ticks, commands = self.shard, self.ticks, self.commands
        begun = ticks() - self.seconds
        first = self._first(position)
        replies = self.replies.setdefault(reply_to, []) if reply_to else []
        answered, self.before = len(replies), len(self.lines)
        self.stand()
        for index in range(first, len(lines)):
            look = self.size >= self.look_at or self.commands >= self.limits.commands
            if look and index > first and self._full_since(begun):
                return self._close(position, index)
            recorded, line = len(self.lines), lines[index]
            try:
                envelope = codec.decode_envelope(line)
                if type(envelope) is not Rejection:
                    replies.append(self._command(envelope, sender))
                elif self.unread(position, index, envelope, reply_to, sender):
                    self.drop(sender, len(lines) - index - 1)
                    break
            except NoRoom:
                return self._without_room(position, index, commands, replies, answered)
            except Overfull:
                self._without_end(position, len(lines), commands, replies, answered)
                break
            except Exception as error:
                self.back(recorded)
                try:
                    replies += self._failed(position, index, line, sender, error)
                except NoRoom:
                    return self._without_room(position, index, commands, replies, answered)
                except Overfull:
                    self._without_end(position, len(lines), commands, replies, answered)
                    break
            self.commands += 1
        shard.consume(position)
        self.seconds = ticks() - begun
        return True

    def fire(self, timer: Timer) -> None:
        """Record that a moment has passed, and what follows from it. A timer that fails waits for the next leader."""
        world = self.shard.world
        if not waits(world, timer) or (timer.kind == SWEEP and self.swept):
            return
        begun = len(self.lines)
        try:
            self._fire(timer)
        except NoRoom:
            self.back(begun)
            self.closed = True
            return
        except Exception as error:
            self.back(begun)
            self.faults.append(Fault("timer", f"{timer.kind} of {timer.workspace_id}/{timer.aggregate_id}", error))
        if waits(world, timer):
            set_aside(world, timer)

    def _fire(self, timer: Timer) -> None:
        world = self.shard.world
        self.swept = self.swept or timer.kind == SWEEP
        row = OutcomeRow(timer.id, len(self.lines), self.size, 1)
        cause = self.record(fired(timer), timer.workspace_id, f"{timer.id}:0", KERNEL)
        refused = follow(self, self.inputs, row, cause, expiry(world, timer))
        if refused is not None and world.feature_level < HOUSE_LEVEL:
            raise RuntimeError(f"{refused.code}: {refused.detail}")

    def note(self, fact: Fact, fact_id: str) -> None:
        """Record a fact about the log itself."""
        self.record(fact, SYSTEM_WORKSPACE, fact_id, KERNEL)

    def seal(self, previous_hash: str) -> Sealed:
        """The commit of this turn, following `previous_hash`."""
        header = CommitHeader(
            epoch=self.epoch,
            first_seq=self.shard.world.seq - len(self.lines) + 1,
            count=len(self.lines),
            time_ms=self.now_ms,
            previous_hash=previous_hash,
            command_position=self.shard.command_position,
            commands=self.commands,
            feature_level=self.shard.world.feature_level,
            command_line=self.shard.command_line,
        )
        data = b"\n".join([codec.encode(header), *self.lines, b""])
        return Sealed(header, data, self.replies, self.access)

    def pass_over(self, position: int, reply_to: str, data: bytes, sender: str, why: Rejection, *, read: bool) -> bool:
        """Refuse the next line of a message, and decide nothing; unless `read`, without a look at it.

        Returns whether it was the last.
        """
        if self.bounded and (excess := packs.excess(data)):
            return self._refuse_whole(position, excess, reply_to, sender)
        line, lines = self._first(position), data.split(packs.NEWLINE)
        if read:
            refused = self.refuse(position, line, lines[line], sender, why)
            if reply_to:
                self.replies.setdefault(reply_to, []).extend(refused)
        else:
            self.unreadable(position, line, why)
        self.commands += 1
        if line + 1 < len(lines):
            return self._close(position, line + 1)
        self.shard.consume(position)
        return True

    def _failed(self, position: int, index: int, line: bytes, sender: str, error: Exception) -> list[Reply]:
        """Refuse a line whose decision failed by a fault of ours. What it had done is undone."""
        what, told = f"line {index} of message {position}", len(self.faults)
        self.faults.append(Fault("line", what, error))
        failed = f"a fault of the kernel ({type(error).__name__}): nothing of {what} happened, nor will"
        try:
            return self.refuse(position, index, line, sender, Rejection(Code.UNDECIDABLE, failed))
        except NoRoom:
            del self.faults[told:]  # The next turn decides it again, and fails again.
            raise

    def refuse(self, position: int, index: int, line: bytes, sender: str, why: Rejection) -> list[Reply]:
        """Refuse a line that cannot be decided: under its key if that can be read, else as a line nobody can read."""
        recorded = len(self.lines)
        try:
            envelope = codec.decode_envelope(line)
            if not isinstance(envelope, Rejection):
                return [self._command(envelope, sender, why)]
        except (NoRoom, Overfull):
            raise
        except Exception as error:
            self.back(recorded)
            self.faults.append(Fault("line", f"the refusal of line {index} of message {position}", error))
        self.unreadable(position, index, why)
        return []

    def _full_since(self, begun: float) -> bool:
        """Tell whether the rest of a message must wait for the next turn, where a message may be split at all."""
        limits = self.limits
        if self.shard.world.feature_level < SPLIT_LEVEL:
            return False
        if self.commands >= limits.commands or self.size >= limits.size or self.ticks() - begun >= limits.seconds:
            return True
        self.look_at = min(limits.size, self.size + limits.look_bytes)
        self.stand()  # A message that may be split is not undone as a whole.
        return False

    def _without_room(self, position: int, line: int, commands: int, replies: list[Reply], answered: int) -> bool:
        """Leave the rest of a message to the next turn; all of it, where a message may not be split."""
        if self.shard.world.feature_level >= SPLIT_LEVEL:
            return self._close(position, line)
        self.back(self.before)
        del replies[answered:]
        self.commands, self.closed = commands, True
        return False

    def _without_end(self, position: int, lines: int, commands: int, replies: list[Reply], answered: int) -> None:
        """Refuse a message as a whole: it may not be split, and its refusals alone go beyond a commit.

        No key of it is spent: who sends its lines in smaller messages gets their outcomes.
        """
        self.back(self.before)
        del replies[answered:]
        self.commands = commands + 1
        detail = f"the outcomes of {lines} lines go beyond a commit: send them in smaller messages"
        self.unreadable(position, 0, Rejection(Code.TOO_LARGE, detail))

    def _refuse_whole(self, position: int, excess: str, reply_to: str, sender: str) -> bool:
        """Refuse what is left of a message that no producer of ours sends, and read none of it. No key is spent."""
        first = self._first(position)
        self.before = len(self.lines)
        detail = f"message {position} has {excess}: nothing of it from line {first} on is decided"
        try:
            self.unread(position, first, Rejection(Code.TOO_LARGE, detail), reply_to, sender)
        except NoRoom:
            return self._close(position, first)
        self.commands += 1
        self.shard.consume(position)
        return True

    def _first(self, position: int) -> int:
        """The line of a message that is next."""
        return self.shard.command_line if position == self.shard.command_position + 1 else 0

    def _close(self, position: int, line: int) -> bool:
        """Leave the rest of a message, from a line on, to the next turn."""
        self.closed = True
        self.shard.consume(position - 1, line)
        return False

    def _command(self, envelope: CommandEnvelope, sender: str, refused: Rejection | None = None) -> Reply:
        if sender:
            envelope = attributed(envelope, sender, self.shard.world.feature_level)
        digest = codec.request_digest(envelope)
        outcomes, level, use = self.shard.outcomes, self.shard.world.feature_level, Use.NONE
        if not outcomes.unused(envelope):
            place = outcomes.find(envelope, level)
            if place is not None:
                return Repeat(envelope.command_id, first_seq(place), not same_request(place, digest))
            use = outcomes.use_of_id(envelope, level)
            if use is Use.OWN:
                return Repeat(envelope.command_id, 0, conflict=True)  # The id was used under another key.
        if use is Use.NONE and outcomes.recorded_as_sent(envelope, level, self.now_ms, sender):
            return self._outcome(envelope, digest, sender, refused)
        # Events are named by their command, and others may go by this name: nobody must learn of another's.
        key = envelope.idempotency_key or envelope.command_id
        own_id = outcomes.new_id(envelope, self.shard.world.seq + 1, level)
        own = replace(envelope, command_id=own_id, idempotency_key=key)
        outcome = self._outcome(own, digest, sender, refused)
        return replace(outcome, request_id=envelope.command_id)

    def _outcome(self, envelope: CommandEnvelope, digest: str, sender: str, refused: Rejection | None) -> Outcome:
        if refused is None and (sender or envelope.principal.startswith(SYSTEM_PREFIX)):
            refused = usurped(envelope, sender, self.shard.world.feature_level)
        if refused is not None:
            return self._reject(envelope, digest, envelope.target, refused)
        arguments = codec.decode_arguments(envelope)
        if type(arguments) is Rejection:
            return self._reject(envelope, digest, envelope.target, arguments)
        return self._decide(envelope, digest, envelope.target or target_of(envelope), arguments)

    def _decide(self, envelope: CommandEnvelope, digest: str, target: str, arguments: Command) -> Outcome:
        begun = len(self.lines)
        row = OutcomeRow(envelope.command_id, begun, self.size)
        recorder = recorder_of(self, self.inputs, row, envelope, digest)
        context = DecisionContext(self.inputs, recorder, envelope, target, arguments)
        try:
            decision, verdict = decide(context, self.authorizer)
            if verdict is not None:
                self.verdicts.append(verdict)
            if type(decision) is Rejection:
                if row.events:
                    self.back(begun)
                return self._reject(envelope, digest, target, decision)
            if len(decision) > FACTS_MAX:
                self.back(begun)
                detail = f"this would become {len(decision)} events, more than {FACTS_MAX}: act on parts of it first"
                return self._reject(envelope, digest, target, Rejection(Code.TOO_LARGE, detail))
            for fact in decision:
                recorder.record(fact)
        except TooMuch:
            self.back(begun)
            return self._too_large(envelope, digest, target)
        except NoRoom:
            self.back(begun)
            raise
        return self._accepted(envelope, row, target)

    def _too_large(self, envelope: CommandEnvelope, digest: str, target: str) -> Outcome:
        limit = self.limits.commit_bytes
        detail = (
            f"this would become more than the {limit} bytes of events that fit into a commit: act on parts of it first"
        )
        return self._reject(envelope, digest, target, Rejection(Code.TOO_LARGE, detail))

    def _accepted(self, envelope: CommandEnvelope, row: OutcomeRow, target: str) -> Outcome:
        world, first = self.shard.world, row.first
        assert first is not None, "what is accepted becomes something"
        return Outcome(
            command_id=envelope.command_id,
            status=_ACCEPTED,
            epoch=self.epoch,
            first_seq=first.seq,
            last_seq=world.seq,
            target=target,
            version=first.version
            if row.events == 1
            else world.version_of(first.workspace_id, first.aggregate, first.aggregate_id),
        )

    def _reject(self, envelope: CommandEnvelope, digest: str, target: str, why: Rejection) -> Outcome:
        why = why.as_of(self.shard.world.feature_level)
        event = CommandRejected(
            code=why.code, detail=why.detail[:2_000], command_type=envelope.type, target=target[:200]
        )
        seq = self.shard.world.seq + 1
        fact = Fact("command", envelope.command_id, event)
        record = self.answer(fact, f"{envelope.command_id}:0", envelope, digest)
        line = codec.encode(record)
        self.refused(len(line) + 1)
        self.fold(record, line)
        return Outcome(
            command_id=envelope.command_id,
            status=Status.REJECTED,
            epoch=self.epoch,
            first_seq=seq,
            last_seq=seq,
            target=target,
            code=why.code,
            detail=event.detail,
        )
