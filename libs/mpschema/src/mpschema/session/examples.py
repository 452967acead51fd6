"""Examples of the commands, events and rows about a session: one of each."""

import msgspec

from mpschema import story
from mpschema.base import Command, Event
from mpschema.session import (
    CancelSession,
    CompleteSession,
    FailSession,
    IssueSessionToken,
    PauseSession,
    ResumeSession,
    RevokeSessionTokens,
    SessionCanceled,
    SessionCompleted,
    SessionFailed,
    SessionPaused,
    SessionResumed,
    SessionSpawned,
    SessionStarted,
    SessionState,
    SessionTokenIssued,
    SessionTokensRevoked,
    SpawnSession,
    StartSession,
)
from mpschema.session.rows import SessionRow

ID = story.SESSION
COMMANDS: tuple[Command, ...] = (
    SpawnSession(
        blueprint=story.BLUEPRINT,
        project_id=story.PROJECT,
        parent_id=story.ROOT_SESSION,
        task_id=story.TASK,
        purpose="review the login",
        limits=story.LIMITS,
        labels=("review",),
    ),
    StartSession(),
    PauseSession(reason="waits for an answer"),
    ResumeSession(),
    CompleteSession(result="One bug found, one fixed."),
    FailSession(failure="model_unavailable", detail="no answer for 90 s"),
    CancelSession(reason="superseded"),
    IssueSessionToken(ttl_seconds=600),
    RevokeSessionTokens(reason="the token stood in a build log"),
)
EVENTS: tuple[Event, ...] = (
    SessionSpawned(
        blueprint=story.BLUEPRINT,
        root_id=story.ROOT_SESSION,
        depth=1,
        lineage=(story.ROOT_SESSION,),
        limits=story.LIMITS,
        parent_id=story.ROOT_SESSION,
        project_id=story.PROJECT,
        task_id=story.TASK,
        purpose="review the login",
        labels=("review",),
    ),
    SessionStarted(),
    SessionPaused(reason="waits for an answer"),
    SessionResumed(),
    SessionCompleted(result="One bug found, one fixed."),
    SessionFailed(failure="model_unavailable", detail="no answer for 90 s"),
    SessionCanceled(origin_id=story.ROOT_SESSION, reason="superseded"),
    SessionTokenIssued(token_id="0199f3a2", expires_at_ms=story.EXPIRES_AT_MS),  # noqa: S106 - an id, no secret
    SessionTokensRevoked(reason="the token stood in a build log"),
)
ROWS: tuple[msgspec.Struct, ...] = (
    SessionRow(
        **story.CHANGED,
        id=story.SESSION,
        project_id=story.PROJECT,
        task_id=story.TASK,
        root_id=story.ROOT_SESSION,
        parent_id=story.ROOT_SESSION,
        depth=1,
        lineage=[story.ROOT_SESSION],
        state=SessionState.ACTIVE,
        blueprint_name=story.BLUEPRINT.name,
        blueprint_version=story.BLUEPRINT.version,
        blueprint_digest=story.BLUEPRINT.digest,
        purpose="review the login",
        labels=["review"],
        max_depth=2,
        max_children=8,
        result="",
        failure=None,
        reason="",
    ),
)
