"""One turn of the kernel: waiting commands decided in order, in memory, into one commit.

Pure but for the shard it advances: time, epoch and bytes come in; what to store and whom to answer come out.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import takewhile

from mpschema import codec
from mpschema.base import Command, Event
from mpschema.envelope import CommandEnvelope, CommitHeader, EventRecord, Outcome, Status
from mpschema.ids import derived_id
from mpschema.registry import COMMANDS, LOG_COMMANDS, RECORDS
from mpschema.rejections import Code, Rejection
from mpschema.system import LOG, SYSTEM_WORKSPACE, CommandRejected
from mpviews.access import EVENTS as ACCESS_EVENTS
from msgspec.structs import replace

from mpkernel.core.decide import decide
from mpkernel.core.outcomes import Use, first_seq, same_request
from mpkernel.core.policy import Authorizer
from mpkernel.core.senders import attributed, usurped
from mpkernel.core.shard import Shard
from mpkernel.core.timers import Timer, fire
from mpkernel.core.undo import Undo
from mpkernel.core.world import Fact

COMMANDS_MAX = 1_000
BYTES_MAX = 512 * 1024
FACTS_MAX = 8_192
"""Events one command may become. A larger cascade is refused: it must fit one commit."""
_ACCEPTED = Status.ACCEPTED
KERNEL = "kernel"
"""The actor of what the kernel does on its own account."""


@dataclass(frozen=True, slots=True)
class Repeat:
    """A request that has its outcome already, or that collides with another under the same key."""

    request_id: str
    first_seq: int
    conflict: bool


Reply = Outcome | Repeat


@dataclass(slots=True)
class Sealed:
    """A decided turn, ready to be stored: the commit's header and bytes, and the answers that may follow it."""

    header: CommitHeader
    data: bytes
    replies: dict[str, list[Reply]]
    access: list[EventRecord] = field(default_factory=list)
    """The events among its own that the doors must know of."""

    @property
    def last_seq(self) -> int:
        """The last event of the commit."""
        return self.header.first_seq + self.header.count - 1


@dataclass(slots=True)
class Turn:
    """A turn being decided on a shard's speculative state."""

    shard: Shard
    epoch: int
    now_ms: int
    authorizer: Authorizer
    lines: list[bytes] = field(default_factory=list)
    size: int = 0
    commands: int = 0
    replies: dict[str, list[Reply]] = field(default_factory=dict)
    access: list[EventRecord] = field(default_factory=list)
    undo: Undo | None = None
    """The way back, while what is decided may have to be undone."""

    def __post_init__(self) -> None:
        self.now_ms = max(self.now_ms, self.shard.world.time_ms)  # Recorded time never runs backwards (G14).

    @property
    def empty(self) -> bool:
        """Whether there is nothing to store."""
        return not self.lines

    @property
    def full(self) -> bool:
        """Whether the turn must be stored before it takes more."""
        return self.commands >= COMMANDS_MAX or self.size >= BYTES_MAX

    def take(self, position: int, reply_to: str, lines: Iterable[bytes], sender: str = "") -> None:
        """Decide every command of one message of the command stream. A line nobody can read is refused and recorded.

        `sender` is the service whose message it is; empty for a gateway.
        """
        replies = self.replies.setdefault(reply_to, []) if reply_to else []
        for index, line in enumerate(lines):
            self.commands += 1
            envelope = codec.decode_envelope(line)
            if isinstance(envelope, Rejection):
                self._unreadable(f"unreadable_{position}_{index}", envelope)
            else:
                replies.append(self._command(attributed(envelope, sender, self.shard.world.feature_level), sender))
        self.shard.consume(position)

    def fire(self, timer: Timer) -> None:
        """Record that a timer's moment has passed, and what follows from it."""
        for index, fact in enumerate(fire(self.shard.world, timer)):
            self._record(fact, timer.workspace_id, f"{timer.id}:{index}", KERNEL)

    def note(self, fact: Fact, fact_id: str) -> None:
        """Record a fact about the log itself."""
        self._record(fact, SYSTEM_WORKSPACE, fact_id, KERNEL)

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

    def _command(self, envelope: CommandEnvelope, sender: str) -> Reply:
        digest = codec.request_digest(envelope)
        outcomes = self.shard.outcomes
        place = outcomes.find(envelope, self.shard.world.feature_level)
        if place is not None:
            return Repeat(envelope.command_id, first_seq(place), not same_request(place, digest))
        match outcomes.use_of_id(envelope):
            case Use.NONE:
                return self._outcome(envelope, digest, sender)
            case Use.OWN:
                return Repeat(envelope.command_id, 0, conflict=True)  # The id was used under another key.
        # Events are named by their command, and another principal's go by this name: neither must learn of the other.
        key = envelope.idempotency_key or envelope.command_id
        own_id = outcomes.new_id(envelope, self.shard.world.seq + 1)
        outcome = self._outcome(replace(envelope, command_id=own_id, idempotency_key=key), digest, sender)
        return replace(outcome, request_id=envelope.command_id)

    def _outcome(self, envelope: CommandEnvelope, digest: str, sender: str) -> Outcome:
        refused = usurped(envelope, sender, self.shard.world.feature_level)
        if refused is not None:
            return self._reject(envelope, digest, envelope.target, refused)
        arguments = codec.decode_arguments(envelope)
        if isinstance(arguments, Rejection):
            return self._reject(envelope, digest, envelope.target, arguments)
        return self._decide(envelope, digest, envelope.target or _target(envelope), arguments)

    def _decide(self, envelope: CommandEnvelope, digest: str, target: str, arguments: Command) -> Outcome:
        decision = decide(self.shard.world, envelope, target, arguments, self.now_ms, self.authorizer)
        if isinstance(decision, Rejection):
            return self._reject(envelope, digest, target, decision)
        if len(decision) > FACTS_MAX:
            detail = f"this would become {len(decision)} events, more than {FACTS_MAX}: act on parts of it first"
            return self._reject(envelope, digest, target, Rejection(Code.TOO_LARGE, detail))
        return self._accept(envelope, digest, target, decision)

    def _accept(self, envelope: CommandEnvelope, digest: str, target: str, facts: tuple[Fact, ...]) -> Outcome:
        first = self.shard.world.seq + 1
        version = self._store(envelope, digest, facts[0], 0)
        if len(facts) > 1:
            for index, fact in enumerate(facts[1:], 1):
                later = self._store(envelope, None, fact, index)
                version = later if fact[:2] == facts[0][:2] else version
        return Outcome(
            command_id=envelope.command_id,
            status=_ACCEPTED,
            epoch=self.epoch,
            first_seq=first,
            last_seq=self.shard.world.seq,
            target=target,
            version=version,
        )

    def _reject(self, envelope: CommandEnvelope, digest: str, target: str, why: Rejection) -> Outcome:
        why = why.as_of(self.shard.world.feature_level)
        event = CommandRejected(
            code=why.code, detail=why.detail[:2_000], command_type=envelope.type, target=target[:200]
        )
        self._store(envelope, digest, Fact("command", envelope.command_id, event), 0)
        seq = self.shard.world.seq
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

    def _unreadable(self, command_id: str, why: Rejection) -> None:
        why = why.as_of(self.shard.world.feature_level)
        event = CommandRejected(code=why.code, detail=why.detail[:2_000], command_type="")
        self._record(Fact("command", command_id, event), SYSTEM_WORKSPACE, f"{command_id}:0", KERNEL)

    def _store(self, envelope: CommandEnvelope, digest: str | None, fact: Fact, index: int) -> int:
        """Record one fact of a command's outcome; the aggregate's version after it."""
        world = self.shard.world
        event: Event = fact.event
        version = world.version_of(envelope.workspace_id, fact.aggregate, fact.aggregate_id) + 1
        self._append(
            # Two without names: Python passes more than 15 named arguments in a dictionary, which costs more.
            RECORDS[type(event)](
                world.seq + 1,
                f"{envelope.command_id}:{index}",
                workspace_id=envelope.workspace_id,
                aggregate_id=fact.aggregate_id,
                version=version,
                time_ms=self.now_ms,
                epoch=self.epoch,
                actor=envelope.principal,
                data=event,
                on_behalf_of=envelope.on_behalf_of,
                session_id=envelope.session_id,
                correlation_id=envelope.correlation_id,
                causation_id=envelope.causation_id,
                traceparent=envelope.traceparent,
                idempotency_key=(envelope.idempotency_key or None) if digest is not None else None,
                digest=digest,
            )
        )
        return version

    def _record(self, fact: Fact, workspace_id: str, event_id: str, actor: str) -> None:
        world = self.shard.world
        self._append(
            RECORDS[type(fact.event)](
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
        )

    def _append(self, record: EventRecord) -> None:
        line = codec.encode(record)
        self.lines.append(line)
        self.size += len(line)
        if type(record.data) in ACCESS_EVENTS:
            self.access.append(record)
        replaced = self.shard.fold_record(record)
        if self.undo is not None:
            self.undo.folded(record, replaced)


def _target(envelope: CommandEnvelope) -> str:
    """What a command is about that names no target: its workspace, the log, or what it creates."""
    if envelope.type.startswith("workspace."):
        return envelope.workspace_id
    if envelope.type in LOG_COMMANDS:
        return LOG
    return derived_id(envelope.type.partition(".")[0], envelope.command_id) if COMMANDS[envelope.type].creates else ""


def recorded_outcome(records: list[EventRecord], request_id: str) -> Outcome:
    """The answer to a request that asked again. `records` begins with its outcome; what follows it is others'.

    Another workspace's command may have the same id, in the same commit: the outcome ends where the next one begins.
    """
    first = records[0]
    rest = takewhile(lambda record: record.digest is None and record.command_id == first.command_id, records[1:])
    records = [first, *rest]
    last = records[-1]
    about = (first.aggregate, first.aggregate_id)
    version = max(record.version for record in records if (record.aggregate, record.aggregate_id) == about)
    event = first.event
    rejected = event if isinstance(event, CommandRejected) else None
    return Outcome(
        command_id=first.command_id,
        status=Status.REJECTED if rejected else Status.ACCEPTED,
        epoch=first.epoch,
        first_seq=first.seq,
        last_seq=last.seq,
        target=rejected.target if rejected else first.aggregate_id,
        version=0 if rejected else version,
        code=rejected.code if rejected else None,
        detail=rejected.detail if rejected else "",
        duplicate=True,
        request_id=request_id if request_id != first.command_id else "",
    )


def conflict_outcome(request_id: str, epoch: int, place: int) -> Outcome:
    """The answer to a request whose key belongs to another request. Nothing is recorded for it."""
    return Outcome(
        command_id=request_id,
        status=Status.REJECTED,
        epoch=epoch,
        first_seq=place,
        last_seq=place,
        code=Code.IDEMPOTENCY_CONFLICT,
        detail="this idempotency key, or command id, already has the outcome of another request",
    )
