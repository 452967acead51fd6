"""The outcome of one command in the making: its facts, each with what follows from it, in one commit.

What follows from an event are commands of the kernel's own, decided right behind it on the state with that event. So
the events of an outcome stand in one row: `command:0`, `command:1`, whoever caused them within it.
"""

from collections.abc import Sequence

from mpschema import codec
from mpschema.base import Command, Event
from mpschema.envelope import CommandEnvelope, EventRecord
from mpschema.ids import derived_id
from mpschema.levels import HOUSE_LEVEL
from mpschema.registry import KERNEL_COMMANDS
from mpschema.rejections import Code, Rejection
from mpschema.system import FollowUpRefused

from mpcore.access.kernel import KERNEL_AUTHORIZER
from mpcore.domain.aggregates import AGGREGATES
from mpcore.engine.commit import PendingCommit
from mpcore.engine.decide import decide
from mpcore.state.facts import Fact
from mpcore.state.reactions import FollowUp, Reaction
from mpcore.state.rules import DecisionContext, Inputs
from mpcore.state.tenant import Tenant

KERNEL = "kernel"
"""The actor of what the kernel does on its own account."""
DEPTH_MAX = 8
"""Follow-ups of follow-ups: a longer row is a circle of ours."""

_KINDS: dict[type[Command], str] = {spec.arguments: kind for kind, spec in KERNEL_COMMANDS.items()}
_CREATES = frozenset(spec.arguments for spec in KERNEL_COMMANDS.values() if spec.creates)


def _reactions() -> dict[type[Event], tuple[Reaction, ...]]:
    found: dict[type[Event], tuple[Reaction, ...]] = {}
    for aggregate in AGGREGATES:
        for event, reaction in aggregate.reactions.items():
            found[event] = (*found.get(event, ()), reaction)
    return found


_REACTIONS = _reactions()
"""Event to what follows from it, aggregate by aggregate."""


class TooMuch(Exception):
    """An outcome is larger than a commit."""


class Recorder:
    """Records the facts of one decision, and so is its draft: see `state.rules.Draft`."""

    __slots__ = (
        "_commit",
        "_depth",
        "_digest",
        "_root",
        "begun",
        "envelope",
        "events",
        "first",
        "inputs",
        "tenant",
        "world",
    )

    def __init__(
        self,
        commit: PendingCommit,
        inputs: Inputs,
        envelope: CommandEnvelope,
        digest: str | None,
        root: "Recorder | None" = None,
        depth: int = 0,
    ) -> None:
        world = commit.shard.world
        self.world = world
        self.tenant: Tenant = world.tenants.get(envelope.workspace_id) or world.new_tenant(envelope.workspace_id)
        self.inputs = inputs
        self.events = 0
        """Of the whole outcome, where this is of the command that began it."""
        self.first: EventRecord | None = None
        """Its first event."""
        self._commit = commit
        self.envelope = envelope
        self._digest = digest
        self._root = self if root is None else root
        self._depth = depth
        self.begun = commit.begin()

    def record(self, fact: Fact) -> EventRecord:
        """See `state.rules.Draft`. Raises `TooMuch` if no commit takes the outcome, `NoRoom` if this one does not."""
        root, commit, envelope = self._root, self._commit, self.envelope
        digest = self._digest if root.events == 0 else None
        made = commit.answer(fact, f"{root.envelope.command_id}:{root.events}", envelope, digest)
        line = codec.encode(made)
        if commit.size + len(line) >= commit.limits.commit_bytes and not commit.fits(len(line) + 1, root.begun):
            raise TooMuch
        commit.fold(made, line)
        if root.events == 0:
            root.first = made
            self.tenant = self.world.tenants.get(self.tenant.id, self.tenant)  # It may have come to be just now.
        root.events += 1
        reactions = _REACTIONS.get(type(fact.event))
        if reactions is not None and self.world.feature_level >= HOUSE_LEVEL:
            self._react(made, reactions)
        return made

    def _react(self, cause: EventRecord, reactions: Sequence[Reaction]) -> None:
        index = 0
        for reaction in reactions:
            for follow_up in reaction(cause, self):
                self.follow(cause, follow_up, index)
                index += 1

    def follow(self, cause: EventRecord, follow_up: FollowUp, index: int = 0) -> Rejection | None:
        """Decide a command of the kernel's own because of an event. Returns why it was refused: a fault of ours.

        Below its level the refusal is not recorded: builds that still run could not read it.
        """
        envelope = _envelope_of(cause, follow_up, index)
        nested = Recorder(self._commit, self.inputs, envelope, None, self._root, self._depth + 1)
        begun, events = self._commit.begin(), self._root.events
        refused = nested._decide(follow_up)
        if refused is not None:
            if self._root.events > events:
                self._commit.back(begun.lines)
                self._root.events = events
            if self.world.feature_level >= HOUSE_LEVEL:
                event = FollowUpRefused(envelope.type, refused.code, refused.detail[:2_000], envelope.target)
                nested.record(Fact("command", envelope.command_id, event))
            self._commit.follow_ups_refused += 1
        return refused

    def _decide(self, follow_up: FollowUp) -> Rejection | None:
        if self._depth > DEPTH_MAX:
            return Rejection(Code.OVERLOADED, f"it follows from {DEPTH_MAX} others, each from the one before")
        context = DecisionContext(self.inputs, self, self.envelope, self.envelope.target, follow_up.arguments)
        decision = decide(context, KERNEL_AUTHORIZER).decision
        if type(decision) is Rejection:
            return decision
        for fact in decision:
            self.record(fact)
        return None


def _envelope_of(cause: EventRecord, follow_up: FollowUp, index: int) -> CommandEnvelope:
    arguments, command_id = type(follow_up.arguments), derived_id("followup", f"{cause.id}:{index}")
    kind = _KINDS[arguments]
    target = follow_up.target
    if not target and arguments in _CREATES:
        target = derived_id(KERNEL_COMMANDS[kind].aggregate, command_id)
    return CommandEnvelope(
        command_id=command_id,
        type=kind,
        workspace_id=cause.workspace_id,
        principal=KERNEL,
        target=target,
        correlation_id=cause.correlation_id,
        causation_id=cause.id,
        traceparent=cause.traceparent,
    )
