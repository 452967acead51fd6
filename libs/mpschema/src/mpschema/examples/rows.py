"""An example of every row that a query answers with."""

import datetime as dt
from typing import TypedDict

import msgspec

from mpschema import queries
from mpschema.board import Column
from mpschema.channel import Provenance
from mpschema.envelope import Status
from mpschema.examples import story
from mpschema.principal import Role
from mpschema.rejections import Code
from mpschema.session import SessionState
from mpschema.task import LinkKind, TaskState
from mpschema.webhook import WebhookState

_AT = story.moment(story.TIME_MS)
_LATER = story.moment(story.EXPIRES_AT_MS)


class _Changed(TypedDict):
    workspace_id: str
    version: int
    last_seq: int
    created_at: dt.datetime
    updated_at: dt.datetime


_ROW = _Changed(workspace_id=story.WORKSPACE, version=4, last_seq=1042, created_at=_AT, updated_at=_LATER)

_EXAMPLES: tuple[msgspec.Struct, ...] = (
    queries.WorkspaceRow(**_ROW, name="Acme", state="active", owner=story.OWNER),
    queries.PrincipalRow(**_ROW, id=story.OWNER, roles=[Role.OWNER, Role.DEVELOPER]),
    queries.KeyRow(
        workspace_id=story.WORKSPACE,
        id=story.KEY,
        principal_id=story.OWNER,
        created_at=_AT,
        expires_at=_LATER,
        revoked_at=None,
    ),
    queries.ProjectRow(
        **_ROW, id=story.PROJECT, name="core", state="open", repo=None, default_branch="main", labels=["python"]
    ),
    queries.BoardRow(
        **_ROW,
        id=story.BOARD,
        project_id=story.PROJECT,
        name="Flow",
        state="open",
        columns=[Column(name="Doing", states=(TaskState.IN_PROGRESS,), wip_limit=3)],
    ),
    queries.TaskRow(
        **_ROW,
        id=story.TASK,
        project_id=story.PROJECT,
        board_id=story.BOARD,
        title="Fix the login retry",
        description="The third attempt is never made.",
        priority=1,
        labels=["bug"],
        state=TaskState.IN_REVIEW,
        holder=story.ACTOR,
        session_id=story.SESSION,
        fence=7,
        lease_expires_at=_LATER,
        evidence=list(story.EVIDENCE),
        accepted=False,
        reason="",
    ),
    queries.LinkRow(workspace_id=story.WORKSPACE, task_id=story.TASK, kind=LinkKind.BLOCKS, to_id=story.BLOCKED_TASK),
    queries.SessionRow(
        **_ROW,
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
    queries.ChannelRow(
        **_ROW,
        id=story.CHANNEL,
        session_id=story.ROOT_SESSION,
        scope=story.SCOPE,
        name="Findings",
        state="open",
        messages=2,
    ),
    queries.MessageRow(
        workspace_id=story.WORKSPACE,
        channel_id=story.CHANNEL,
        message_seq=2,
        kind="finding",
        body="retries = range(1, 3)",
        sender=story.ACTOR,
        provenance=Provenance.PEER,
        session_id=story.SESSION,
        reply_to=1,
        reply_by=_LATER,
        reply_overdue=False,
        posted_at=_AT,
        last_seq=1042,
    ),
    queries.CursorRow(workspace_id=story.WORKSPACE, channel_id=story.CHANNEL, reader=story.ACTOR, cursor=2),
    queries.WebhookRow(
        **_ROW,
        id=story.WEBHOOK,
        endpoint=story.WEBHOOK_URL,
        event_types=["TaskSubmitted", "TaskCompleted"],
        aggregates=[],
        state=WebhookState.ACTIVE,
        reason="",
        generation=2,
        previous_until=_LATER,
        after_seq=1024,
        started_seq=1030,
    ),
    queries.ParkedKeyRow(
        workspace_id=story.WORKSPACE,
        webhook_id=story.WEBHOOK,
        key=story.WEBHOOK_KEY,
        state="parked",
        seq=1042,
        reason="the receiver answered 500",
        attempts=8,
        parked_at=_LATER,
        last_seq=1050,
    ),
    queries.DeliveryRow(
        workspace_id=story.WORKSPACE,
        webhook_id=story.WEBHOOK,
        position=1042,
        delivered=512,
        delivered_at=_AT,
        failure=f"{story.WEBHOOK_KEY} at 1042: the receiver answered 500",
        failed_at=_LATER,
    ),
    queries.WaitingKeyRow(
        workspace_id=story.WORKSPACE,
        webhook_id=story.WEBHOOK,
        key=story.WEBHOOK_KEY,
        after_seq=1041,
        attempts=3,
        due_at=_LATER,
        reason="the receiver answered 500",
        parked_seq=None,
    ),
    queries.CommandRow(
        workspace_id=story.WORKSPACE,
        id=story.COMMAND_ID,
        idempotency_key="ci-4711",
        status=Status.REJECTED,
        command_type="task.submit",
        target=story.TASK,
        code=Code.STALE_FENCE,
        detail="the claim has fence 7, not 6",
        actor=story.ACTOR,
        first_seq=1042,
        last_seq=1042,
        epoch=3,
        decided_at=_AT,
    ),
    queries.EventRow(
        workspace_id=story.WORKSPACE,
        seq=1042,
        id=f"{story.COMMAND_ID}:0",
        event_type="mp.task.TaskReady.v1",
        aggregate="task",
        aggregate_id=story.TASK,
        version=2,
        epoch=3,
        actor=story.OWNER,
        recorded_at=_AT,
        hash="56" * 32,
        event=msgspec.Raw(b'{"type":"mp.task.TaskReady.v1","seq":1042}'),
    ),
    queries.ProjectionRow(
        name="work",
        build=2,
        version=1,
        phase="serving",
        position=1040,
        head=1042,
        lag_events=2,
        lag_seconds=0.012,
        state="live",
        error=None,
        halted_at=None,
        updated_at=_LATER,
    ),
)

ROWS: dict[type[msgspec.Struct], msgspec.Struct] = {type(example): example for example in _EXAMPLES}
"""Every row's example, by its type."""
