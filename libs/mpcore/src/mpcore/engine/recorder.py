"""The outcome of one command in the making: its facts, each with what follows from it, in one commit.

What follows from an event are commands of the kernel's own, decided right behind it on the state with that event. So
the events of an outcome stand in one row: `command:0`, `command:1`, whoever caused them within it.
"""

from collections.abc import Sequence

import msgspec
from mpschema import codec
from mpschema.base import Command, Event
from mpschema.envelope import CommandEnvelope, EventRecord
from mpschema.ids import derived_id
from mpschema.levels import HOUSE_LEVEL
from mpschema.registry import KERNEL_COMMANDS
from mpschema.rejections import Code, Rejection
from mpschema.system import FollowUpRefused
from mpschema.vocabulary import CommandSpec

from mpcore.access.kernel import KERNEL_AUTHORIZER
from mpcore.domain.aggregates import AGGREGATES
from mpcore.engine.commit import PendingCommit
from mpcore.engine.decide import decide
from mpcore.engine.sealed import Fault
from mpcore.state.facts import Fact
from mpcore.state.reactions import FollowUp, Reaction
from mpcore.state.rules import DecisionContext, Inputs
from mpcore.state.tenant import Tenant
from mpcore.state.world import World

KERNEL = "kernel"
"""The actor of what the kernel does on its own account."""
DEPTH_MAX = 8
"""Follow-ups of follow-ups: a longer row is a circle of ours."""

_SPECS: dict[type[Command], CommandSpec] = {spec.arguments: spec for spec in KERNEL_COMMANDS.values()}


def _reactions() -> dict[type[Event], tuple[Reaction, ...]]:
    found: dict[type[Event], tuple[Reaction, ...]] = {}
    for aggregate in AGGREGATES:
        for event, reaction in aggregate.reactions.items():
            found[event] = (*found.get(event, ()), reaction)
    return found


_REACTIONS = _reactions()
"""Event to what follows from it, aggregate by aggregate."""


class FollowUpFault(Exception):
    """A command of the kernel's own was refused."""


class TooMuch(Exception):
    """An outcome is larger than a commit."""


class OutcomeRow(msgspec.Struct):
    """The events of one outcome so far, in the row in which they stand."""

    command_id: str
    """Of the command, or of the timer, that all of them come from."""
    begun_lines: int
    """The lines of the commit when the row was begun."""
    begun_size: int
    """Its bytes then."""
    events: int = 0
    first: EventRecord | None = None


class OutcomeRecorder(msgspec.Struct):
    """Records the facts of one decision, and so is its draft: see `state.rules.Draft`."""

    commit: PendingCommit
    inputs: Inputs
    row: OutcomeRow
    envelope: CommandEnvelope
    world: World
    tenant: Tenant
    digest: str | None = None
    depth: int = 0

    def record(self, fact: Fact) -> EventRecord:
        """See `state.rules.Draft`. Raises `TooMuch` if no commit takes the outcome, `NoRoom` if this one does not."""
        row, commit, events = self.row, self.commit, self.row.events
        made = commit.answer(fact, f"{row.command_id}:{events}", self.envelope, self.digest if events == 0 else None)
        line = codec.encode(made)
        if commit.size + len(line) >= commit.limits.commit_bytes and not commit.fits(
            len(line) + 1, row.begun_lines, row.begun_size
        ):
            raise TooMuch
        commit.fold(made, line)
        row.events = events + 1
        if row.first is None:
            row.first = made
            self.tenant = self.world.tenants.get(self.tenant.id, self.tenant)  # It may have come to be just now.
        reactions = _REACTIONS.get(type(fact.event))
        if reactions is not None and self.world.feature_level >= HOUSE_LEVEL:
            self._react(made, reactions)
        return made

    def _react(self, cause: EventRecord, reactions: Sequence[Reaction]) -> None:
        index = 0
        for reaction in reactions:
            for follow_up in reaction(cause, self):
                follow(self.commit, self.inputs, self.row, cause, follow_up, index, self.depth + 1)
                index += 1


def recorder_of(
    commit: PendingCommit,
    inputs: Inputs,
    row: OutcomeRow,
    envelope: CommandEnvelope,
    digest: str | None = None,
    depth: int = 0,
) -> OutcomeRecorder:
    """Make the recorder of one command's facts, in the row of an outcome."""
    world, workspace_id = commit.shard.world, envelope.workspace_id
    tenant = world.tenants.get(workspace_id) or world.new_tenant(workspace_id)
    return OutcomeRecorder(commit, inputs, row, envelope, world, tenant, digest, depth)


def follow(
    commit: PendingCommit,
    inputs: Inputs,
    row: OutcomeRow,
    cause: EventRecord,
    follow_up: FollowUp,
    index: int = 0,
    depth: int = 1,
) -> Rejection | None:
    """Decide a command of the kernel's own because of an event. Returns why it was refused: a fault of ours.

    Below its level the refusal is not recorded: builds that still run could not read it.
    """
    spec = _SPECS[type(follow_up.arguments)]
    envelope = _envelope_of(cause, spec, follow_up, index)
    recorder = recorder_of(commit, inputs, row, envelope, None, depth)
    begun, events = len(commit.lines), row.events
    refused = _decided(
        recorder, DecisionContext(inputs, recorder, envelope, envelope.target, follow_up.arguments), depth
    )
    if refused is not None:
        if row.events > events:
            commit.back(begun)
            row.events = events
        if commit.shard.world.feature_level >= HOUSE_LEVEL:
            event = FollowUpRefused(envelope.type, refused.code, refused.detail[:2_000], envelope.target)
            recorder.record(Fact("command", envelope.command_id, event))
        what = f"{envelope.type} of {envelope.workspace_id}/{envelope.target}"
        commit.faults.append(Fault("follow_up", what, FollowUpFault(f"{refused.code}: {refused.detail}")))
    return refused


def _decided(recorder: OutcomeRecorder, context: DecisionContext, depth: int) -> Rejection | None:
    if depth > DEPTH_MAX:
        return Rejection(Code.OVERLOADED, f"it follows from {DEPTH_MAX} others, each from the one before")
    decision, _ = decide(context, KERNEL_AUTHORIZER)
    if type(decision) is Rejection:
        return decision
    for fact in decision:
        recorder.record(fact)
    return None


def _envelope_of(cause: EventRecord, spec: CommandSpec, follow_up: FollowUp, index: int) -> CommandEnvelope:
    command_id = derived_id("followup", f"{cause.id}:{index}")
    target = follow_up.target
    if not target and spec.creates:
        target = derived_id(spec.aggregate, command_id)
    return spec.envelope(
        b"{}",
        command_id=command_id,
        workspace_id=cause.workspace_id,
        principal=KERNEL,
        target=target,
        correlation_id=cause.correlation_id,
        causation_id=cause.id,
        traceparent=cause.traceparent,
    )
