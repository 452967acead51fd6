"""A commit in the making: the lines that a turn has recorded so far, with the way back from each."""

from dataclasses import dataclass, field

from mpschema import codec
from mpschema.envelope import CommandEnvelope, EventRecord
from mpschema.levels import SPLIT_LEVEL
from mpschema.registry import RECORDS
from mpviews.access import EVENTS as ACCESS_EVENTS

from mpcore.engine.evolve import mend
from mpcore.engine.sealed import Fault
from mpcore.engine.shard import Shard
from mpcore.engine.undo import Undo
from mpcore.state.facts import Fact

TURN_SECONDS = 0.02
LOOK_BYTES = 4 * 1024
COMMANDS_MAX = 1_000
SIZE_MAX = 512 * 1024
WAY_BACK_EVENTS = 8
"""With so many events to go back over, those that nothing can undo any more are let stand."""


@dataclass(frozen=True, slots=True)
class TurnLimits:
    """The bounds of a turn: beyond them it takes no further line. One line may go beyond all but `commit_bytes`."""

    commands: int = COMMANDS_MAX
    size: int = SIZE_MAX
    seconds: float = TURN_SECONDS
    """Of deciding, so that no turn holds up whatever else the process does."""
    look_bytes: int = 0
    """So much is recorded between two looks at the clock, within a message."""
    commit_bytes: int = 8_000_000
    """The most bytes of events in a commit: the log stores no larger ones."""


def limits_of(commit_bytes: int, seconds: float, look_bytes: int = 0) -> TurnLimits:
    """The limits where the log takes commits of so many bytes: half of that at most before the last line or timer."""
    size = min(SIZE_MAX, commit_bytes // 2)
    return TurnLimits(size=size, seconds=seconds, look_bytes=look_bytes, commit_bytes=commit_bytes)


class NoRoom(Exception):
    """A decision fits a commit, and not the rest of this one."""


class Overfull(Exception):
    """Refusals alone go beyond a commit, and the message may not be split."""


@dataclass(slots=True)
class PendingCommit:
    """A commit in the making, on a shard's speculative state."""

    shard: Shard
    epoch: int
    now_ms: int
    limits: TurnLimits = field(default=TurnLimits(), kw_only=True)
    lines: list[bytes] = field(default_factory=list, init=False)
    size: int = field(default=0, init=False)
    access: list[EventRecord] = field(default_factory=list, init=False)
    """The events in it that the doors must know of."""
    before: int = field(default=0, init=False)
    """Events that were in it when the message began that is being decided."""
    undo: Undo = field(init=False)
    """The way back, from everything in it that does not stand yet."""
    faults: list[Fault] = field(default_factory=list, init=False)
    """The decisions that failed by a fault of ours."""
    revocable: bool = field(default=False, init=False)
    """True while all of it may have to be rolled back: it is decided speculatively."""

    def __post_init__(self) -> None:
        self.now_ms = max(self.now_ms, self.shard.world.time_ms)  # Recorded time never runs backwards (G14).
        self.undo = Undo(self.shard)

    @property
    def empty(self) -> bool:
        """True while there is nothing to store."""
        return not self.lines

    def stand(self) -> None:
        """Let what is in it stand, where that is much. Called where nothing but `revocable` asks for the way back."""
        if len(self.undo.replaced) >= WAY_BACK_EVENTS and not self.revocable:
            self.undo.stand()

    def back(self, lines: int) -> None:
        """Undo what was recorded since there were so many lines."""
        self.undo.run_to(lines)
        del self.lines[lines:]
        self.size = sum(len(line) + 1 for line in self.lines)
        self.access = [record for record in self.access if record.seq <= self.shard.world.seq]

    def fits(self, size: int, begun_lines: int, begun_size: int) -> bool:
        """Tell whether a commit takes so much more, for what was begun at these lines and bytes.

        Raises `NoRoom` if an empty commit took all that was begun and this too, and only this one has no room for it.
        """
        limit = self.limits.commit_bytes
        if self.size + size <= limit:
            return True
        others = begun_lines if self.shard.world.feature_level >= SPLIT_LEVEL else self.before
        if self.size - begun_size + size <= limit and others:
            raise NoRoom
        return False

    def refused(self, size: int) -> None:
        """Make sure that a refusal of so many bytes fits. Raises `NoRoom` or `Overfull` if it does not."""
        if not self.fits(size, len(self.lines), self.size) and len(self.lines) > self.before:
            raise Overfull

    def answer(self, fact: Fact, event_id: str, envelope: CommandEnvelope, digest: str | None) -> EventRecord:
        """Return the record of a fact that a command became; `digest` is that of the request, for its first event."""
        workspace_id, world = envelope.workspace_id, self.shard.world
        # Two without names: Python passes more than 15 named arguments in a dictionary, which costs more.
        return RECORDS[type(fact.event)](
            world.seq + 1,
            event_id,
            workspace_id=workspace_id,
            aggregate_id=fact.aggregate_id,
            version=world.version_of(workspace_id, fact.aggregate, fact.aggregate_id) + 1,
            time_ms=self.now_ms,
            epoch=self.epoch,
            actor=envelope.principal,
            data=fact.event,
            on_behalf_of=envelope.on_behalf_of,
            session_id=envelope.session_id,
            correlation_id=envelope.correlation_id,
            causation_id=envelope.causation_id,
            traceparent=envelope.traceparent,
            idempotency_key=(envelope.idempotency_key or None) if digest is not None else None,
            digest=digest,
        )

    def record(self, fact: Fact, workspace_id: str, event_id: str, actor: str) -> EventRecord:
        """Record a fact that no command asked for."""
        world = self.shard.world
        record = RECORDS[type(fact.event)](
            seq=world.seq + 1,
            id=event_id,
            workspace_id=workspace_id,
            aggregate_id=fact.aggregate_id,
            version=world.version_of(workspace_id, fact.aggregate, fact.aggregate_id) + 1,
            time_ms=self.now_ms,
            epoch=self.epoch,
            actor=actor,
            data=fact.event,
        )
        self.fold(record, codec.encode(record))
        return record

    def fold(self, record: EventRecord, line: bytes) -> None:
        """Take in an event and its line."""
        try:
            replaced = self.shard.fold_record(record)
        except Exception:
            mend(self.shard.world, record.workspace_id)
            raise
        self.lines.append(line)
        self.size += len(line) + 1
        if type(record.data) in ACCESS_EVENTS:
            self.access.append(record)
        self.undo.replaced.append((record, replaced))
