"""The words about a session: one agent's run, and a node in a lineage tree."""

import enum
from typing import Annotated, ClassVar

import msgspec

from mpschema.base import Command, Digest, Event, Id, Labels, Name, Reason, Text, TimeMs
from mpschema.levels import TOKENS_LEVEL
from mpschema.task import TaskReleased
from mpschema.vocabulary import Vocabulary, command

TokenTtlSeconds = Annotated[int, msgspec.Meta(ge=60, le=3_600)]


class SessionState(enum.StrEnum):
    """The states of a session, from request to end."""

    REQUESTED = "requested"
    ACTIVE = "active"
    PAUSED = "paused"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"


class BlueprintRef(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True, omit_defaults=True):
    """The blueprint that a session runs: name, version, and the SHA-256 of its canonical content."""

    name: Name
    version: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    digest: Digest


class SessionLimits(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True, omit_defaults=True):
    """The limits on the growth of a lineage. A child's limits are never wider than its parent's."""

    max_depth: Annotated[int, msgspec.Meta(ge=0, le=16, description="deepest level below the root")] = 4
    max_children: Annotated[int, msgspec.Meta(ge=0, le=256, description="children one session may spawn")] = 16


class SpawnSession(Command, frozen=True):
    """Ask for a session to run a blueprint, at the root of a new lineage or under a parent."""

    blueprint: BlueprintRef
    project_id: Id | None = None
    parent_id: Id | None = None
    task_id: Id | None = None
    purpose: Reason = ""
    limits: SessionLimits | None = None
    labels: Labels = ()


class StartSession(Command, frozen=True):
    """Begin to run."""


class PauseSession(Command, frozen=True):
    """Hold the session; it may resume."""

    reason: Reason = ""


class ResumeSession(Command, frozen=True):
    """Run on after a pause."""


class CompleteSession(Command, frozen=True):
    """End well; refused while a child of it is live."""

    result: Text = ""


class FailSession(Command, frozen=True):
    """End badly, with a class of failure; live descendants are canceled."""

    failure: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    detail: Reason = ""


class CancelSession(Command, frozen=True):
    """End the session and its whole live subtree."""

    reason: Reason = ""


class EndSession(Command, frozen=True):
    """End a session because one above it, its project or its workspace ended."""

    origin_id: Id


class IssueSessionToken(Command, frozen=True):
    """Record that a short-lived token was made for the agent that runs this session."""

    ttl_seconds: TokenTtlSeconds = 900


class RevokeSessionTokens(Command, frozen=True):
    """Make every token invalid that was issued to the session so far; it goes on, and may be given a new one."""

    reason: Reason = ""


class SessionSpawned(Event, frozen=True):
    blueprint: BlueprintRef
    root_id: Id
    depth: Annotated[int, msgspec.Meta(ge=0)]
    lineage: Annotated[tuple[Id, ...], msgspec.Meta(description="ancestors, root first, parent last")]
    limits: SessionLimits
    parent_id: Id | None = None
    project_id: Id | None = None
    task_id: Id | None = None
    purpose: Reason = ""
    labels: Labels = ()


class SessionStarted(Event, frozen=True):
    pass


class SessionPaused(Event, frozen=True):
    reason: Reason = ""


class SessionResumed(Event, frozen=True):
    pass


class SessionCompleted(Event, frozen=True):
    result: Text = ""


class SessionFailed(Event, frozen=True):
    failure: str
    detail: Reason = ""


class SessionCanceled(Event, frozen=True):
    origin_id: Id
    reason: Reason = ""


class SessionTokenIssued(Event, frozen=True):
    token_id: Id
    expires_at_ms: TimeMs


class SessionTokensRevoked(Event, frozen=True):
    since_level: ClassVar[int] = TOKENS_LEVEL
    reason: Reason = ""


_ENDED = (SessionCanceled, TaskReleased)

VOCABULARY = Vocabulary(
    name="session",
    plural="sessions",
    about="Sessions: runs of agents, in lineages.",
    commands=(
        command("session.spawn", SpawnSession, SessionSpawned, creates=True),
        command("session.start", StartSession, SessionStarted),
        command("session.pause", PauseSession, SessionPaused),
        command("session.resume", ResumeSession, SessionResumed),
        command("session.complete", CompleteSession, SessionCompleted, TaskReleased),
        command("session.fail", FailSession, SessionFailed, *_ENDED),
        command("session.cancel", CancelSession, *_ENDED),
        command("session.issue_token", IssueSessionToken, SessionTokenIssued),
        command("session.revoke_tokens", RevokeSessionTokens, SessionTokensRevoked),
    ),
    kernel_commands=(command("session.end", EndSession, SessionCanceled),),
    events=(
        SessionSpawned,
        SessionStarted,
        SessionPaused,
        SessionResumed,
        SessionCompleted,
        SessionFailed,
        SessionCanceled,
        SessionTokenIssued,
        SessionTokensRevoked,
    ),
)
