"""The log itself: who leads, what was refused, when time passed, what was sealed, put back, or may be written now."""

from typing import Annotated, ClassVar

import msgspec

from mpschema.base import Command, Digest, Event, Id, Reason, TimeMs
from mpschema.levels import FIRST_LEVEL, HOUSE_LEVEL, TRIED_LEVEL, WEBHOOKS_LEVEL
from mpschema.rejections import Code
from mpschema.vocabulary import Vocabulary, command

SYSTEM_WORKSPACE = "system"
"""The reserved workspace of events that belong to no tenant."""
LOG = "log"
"""The aggregate of the log itself, and its one id."""
Level = Annotated[int, msgspec.Meta(gt=FIRST_LEVEL)]
"""A feature level to which a log can be raised (`mpschema.levels`)."""
LineageLiveMax = Annotated[int, msgspec.Meta(ge=1, le=1_000_000, description="live sessions of one lineage")]
OutcomeDays = Annotated[int, msgspec.Meta(ge=1, le=3_650, description="days for which idempotency keys are remembered")]
SweepFacts = Annotated[int, msgspec.Meta(ge=1, le=4_096, description="events that a sweep records in one commit")]


class RaiseFeatureLevel(Command, frozen=True):
    """Let the log hold what came with a later feature level: builds of earlier levels halt from here on."""

    level: Level


class FeatureLevelRaised(Event, frozen=True):
    """The log may hold the additions of a feature level from this commit on."""

    since_level: ClassVar[int] = WEBHOOKS_LEVEL
    level: Level


class SetLimits(Command, frozen=True):
    """Change limits of the whole log; what is left out stays as it is."""

    lineage_live_max: LineageLiveMax | None = None
    outcome_days: OutcomeDays | None = None
    sweep_facts: SweepFacts | None = None


class LimitsSet(Event, frozen=True):
    """The whole log has these limits from this event on."""

    since_level: ClassVar[int] = HOUSE_LEVEL
    lineage_live_max: LineageLiveMax
    outcome_days: OutcomeDays
    sweep_facts: SweepFacts


class LeaderElected(Event, frozen=True):
    """A kernel took over. Decisions after it rest on the policy inputs recorded here."""

    leader_epoch: Annotated[int, msgspec.Meta(ge=1)]
    node: Id
    operators: tuple[Id, ...] = ()
    policy_digest: str = ""


class CommandRejected(Event, frozen=True):
    """A command was refused. The reason is as durable as an acceptance."""

    code: Code
    detail: Reason
    command_type: Annotated[str, msgspec.Meta(max_length=200)]
    target: Annotated[str, msgspec.Meta(max_length=200)] = ""


class FollowUpRefused(Event, frozen=True):
    """A command that the kernel gave itself was refused: a fault of ours. What caused it stands."""

    since_level: ClassVar[int] = HOUSE_LEVEL
    command: Annotated[str, msgspec.Meta(max_length=200)]
    code: Code
    detail: Reason
    target: Annotated[str, msgspec.Meta(max_length=200)] = ""


class LineTried(Event, frozen=True):
    """A leader is about to decide one line by itself, because leaders before it came no further than there.

    Stored before the line is decided, so that a line that ends every process leaves a trace. `process` is one start of
    one kernel; the epoch is the record's.
    """

    since_level: ClassVar[int] = TRIED_LEVEL
    position: Annotated[int, msgspec.Meta(ge=1)]
    """The position of the message in the command stream."""
    line: Annotated[int, msgspec.Meta(ge=0)]
    process: Id


class LineSurvived(Event, frozen=True):
    """The process that tried a line lives, though the line has no outcome: something else ended that leadership."""

    since_level: ClassVar[int] = TRIED_LEVEL
    position: Annotated[int, msgspec.Meta(ge=1)]
    line: Annotated[int, msgspec.Meta(ge=0)]
    process: Id


class TimerFired(Event, frozen=True):
    """A moment that was waited for has passed. Time passes in the log only so."""

    due_ms: TimeMs
    kind: Annotated[str, msgspec.Meta(max_length=100)]


class LogCheckpointed(Event, frozen=True):
    """The state at a position: chain head and state root, signed when the kernel holds a key."""

    at_seq: int
    head: Digest
    state_root: Digest
    key_id: Id | None = None
    signature: str | None = None


class LogRestored(Event, frozen=True):
    """The log was put back from a copy that ended at a position. Whatever had been recorded after it is gone.

    The event is the first of an epoch that lies above every epoch the lost part can have seen, so a cursor into the
    lost part never fits what is recorded in its place. Fencing tokens go on above that epoch, too.
    """

    at_seq: Annotated[int, msgspec.Meta(ge=0)]
    head: Digest
    state_root: Digest
    source: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    """The source of the copy: `backup`, `archive`, `segments`."""
    copied_at_ms: TimeMs
    """The time of the copy: the lost events are later."""


VOCABULARIES = (
    Vocabulary(
        name="command",
        events=(CommandRejected, FollowUpRefused),
    ),
    Vocabulary(
        name="timer",
        events=(TimerFired,),
    ),
    Vocabulary(
        name=LOG,
        collection=f"/v1/{LOG}",
        member=f"/v1/{LOG}",
        commands=(
            command("log.raise_feature_level", RaiseFeatureLevel, FeatureLevelRaised),
            command("log.set_limits", SetLimits, LimitsSet),
        ),
        events=(
            LeaderElected,
            LogCheckpointed,
            LogRestored,
            FeatureLevelRaised,
            LimitsSet,
            LineTried,
            LineSurvived,
        ),
    ),
)
