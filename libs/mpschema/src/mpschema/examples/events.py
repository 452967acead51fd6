"""An example of every event's data."""

from mpschema import board, channel, principal, project, session, system, task, webhook, workspace
from mpschema.base import Event
from mpschema.examples import story
from mpschema.rejections import Code
from mpschema.task import TaskState

EVENTS: tuple[Event, ...] = (
    workspace.WorkspaceCreated(name="Acme", owner=story.OWNER),
    workspace.WorkspaceRenamed(name="Acme Labs"),
    workspace.WorkspaceFrozen(reason="an agent pushes to main"),
    workspace.WorkspaceThawed(),
    workspace.WorkspaceArchived(),
    principal.RoleBound(role=principal.Role.DEVELOPER),
    principal.RoleUnbound(role=principal.Role.VIEWER),
    principal.KeyIssued(key_id=story.KEY, key_hash=story.KEY_HASH, expires_at_ms=story.EXPIRES_AT_MS),
    principal.KeyRevoked(key_id=story.KEY),
    project.ProjectCreated(
        name="core", repo="https://git.example/acme/core.git", default_branch="main", labels=("python",)
    ),
    project.ProjectConfigured(
        repo="https://git.example/acme/app.git", default_branch="trunk", labels=("python", "core")
    ),
    project.ProjectArchived(),
    board.BoardCreated(
        project_id=story.PROJECT,
        name="Flow",
        columns=(
            board.Column(name="To do", states=(TaskState.DRAFT, TaskState.READY)),
            board.Column(name="Doing", states=(TaskState.CLAIMED, TaskState.IN_PROGRESS), wip_limit=3),
        ),
    ),
    board.ColumnAdded(column="Review", states=(TaskState.IN_REVIEW,), wip_limit=5),
    board.ColumnMapped(column="To do", states=(TaskState.READY,)),
    board.ColumnLimited(column="Doing", wip_limit=4),
    board.ColumnsReordered(columns=("Doing", "To do", "Review")),
    board.BoardArchived(),
    task.TaskCreated(
        project_id=story.PROJECT,
        title="Fix the login retry",
        description="The third attempt is never made.",
        board_id=story.BOARD,
        priority=1,
        labels=("bug",),
    ),
    task.TaskEdited(title="Fix the login retries", description="Off by one.", priority=0, labels=("bug", "auth")),
    task.TaskLinked(kind=task.LinkKind.BLOCKS, to=story.BLOCKED_TASK),
    task.TaskUnlinked(kind=task.LinkKind.BLOCKS, to=story.BLOCKED_TASK),
    task.TaskReady(),
    task.TaskClaimed(
        holder=story.ACTOR,
        lease_id="0199f3a2-7c10-7abc-9def-0123456789ab",
        fence=7,
        ttl_seconds=300,
        expires_at_ms=story.EXPIRES_AT_MS,
        session_id=story.SESSION,
    ),
    task.TaskLeaseRenewed(fence=7, ttl_seconds=300, expires_at_ms=story.EXPIRES_AT_MS),
    task.TaskLeaseExpired(fence=7, holder=story.ACTOR),
    task.TaskReleased(fence=7, holder=story.ACTOR, cause=task.ReleaseCause.SESSION_ENDED),
    task.TaskStarted(fence=7, expires_at_ms=story.EXPIRES_AT_MS),
    task.TaskSubmitted(fence=7, evidence=story.EVIDENCE),
    task.TaskAccepted(note="The test would have failed before."),
    task.TaskRejected(reason="No test shows it.", expires_at_ms=story.EXPIRES_AT_MS),
    task.TaskBlocked(reason="waits for the staging database"),
    task.TaskUnblocked(state=TaskState.READY),
    task.TaskCompleted(),
    task.TaskCanceled(reason="the login is going away"),
    task.TaskReopened(reason="it came back"),
    session.SessionSpawned(
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
    session.SessionStarted(),
    session.SessionPaused(reason="waits for an answer"),
    session.SessionResumed(),
    session.SessionCompleted(result="One bug found, one fixed."),
    session.SessionFailed(failure="model_unavailable", detail="no answer for 90 s"),
    session.SessionCanceled(origin_id=story.ROOT_SESSION, reason="superseded"),
    session.SessionTokenIssued(token_id="0199f3a2", expires_at_ms=story.EXPIRES_AT_MS),  # noqa: S106 - an id, no secret
    session.SessionTokensRevoked(reason="the token stood in a build log"),
    channel.ChannelOpened(session_id=story.ROOT_SESSION, scope=story.SCOPE, name="Findings"),
    channel.MessagePosted(
        message_seq=2,
        kind="finding",
        body="retries = range(1, 3)",
        sender=story.ACTOR,
        provenance=channel.Provenance.PEER,
        session_id=story.SESSION,
        reply_to=1,
        reply_by_ms=story.EXPIRES_AT_MS,
    ),
    channel.CursorAdvanced(reader=story.ACTOR, cursor=2),
    channel.ReplyOverdue(message_seq=2),
    channel.ChannelClosed(reason="the review is over"),
    webhook.WebhookCreated(
        endpoint=story.WEBHOOK_URL, after_seq=1024, event_types=("TaskSubmitted", "TaskCompleted"), aggregates=("task",)
    ),
    webhook.WebhookConfigured(endpoint=story.WEBHOOK_URL, event_types=(), aggregates=("task", "session")),
    webhook.WebhookPaused(reason="the receiver moves house"),
    webhook.WebhookResumed(after_seq=1024),
    webhook.WebhookRemoved(),
    webhook.WebhookSecretRotated(generation=2, previous_until_ms=story.EXPIRES_AT_MS),
    webhook.DeliveryParked(key=story.WEBHOOK_KEY, seq=1042, reason="the receiver answered 500", attempts=8),
    webhook.DeliveryRequeued(key=story.WEBHOOK_KEY),
    webhook.DeliveryCleared(key=story.WEBHOOK_KEY),
    system.CommandRejected(
        code=Code.STALE_FENCE, detail="the claim has fence 7, not 6", command_type="task.submit", target=story.TASK
    ),
    system.TimerFired(due_ms=story.EXPIRES_AT_MS, kind="task_lease"),
    system.LeaderElected(leader_epoch=3, node="kernel-a", operators=("user:root",), policy_digest="ef" * 32),
    system.LogCheckpointed(at_seq=4096, head="12" * 32, state_root="34" * 32, key_id="2026-01", signature="c2lnbmVk"),
    system.LogRestored(
        at_seq=4096, head="12" * 32, state_root="34" * 32, source="backup", copied_at_ms=story.EXPIRES_AT_MS
    ),
    system.FeatureLevelRaised(level=2),
    system.LineTried(position=4711, line=3, process="kernel-a-1f0c9d2e"),
    system.LineSurvived(position=4711, line=3, process="kernel-a-1f0c9d2e"),
)
