"""An example of every command's arguments."""

from mpschema import board, channel, principal, project, session, system, task, webhook, workspace
from mpschema.base import Command
from mpschema.examples import story
from mpschema.task import TaskState

COMMANDS: tuple[Command, ...] = (
    workspace.CreateWorkspace(name="Acme"),
    workspace.RenameWorkspace(name="Acme Labs"),
    workspace.FreezeWorkspace(reason="an agent pushes to main"),
    workspace.ThawWorkspace(),
    workspace.ArchiveWorkspace(),
    principal.BindRole(role=principal.Role.DEVELOPER),
    principal.UnbindRole(role=principal.Role.VIEWER),
    principal.IssueKey(key_id=story.KEY, key_hash=story.KEY_HASH, expires_at_ms=story.EXPIRES_AT_MS),
    principal.RevokeKey(key_id=story.KEY),
    project.CreateProject(
        name="core", repo="https://git.example/acme/core.git", default_branch="main", labels=("python",)
    ),
    project.ConfigureProject(
        repo="https://git.example/acme/app.git", default_branch="trunk", labels=("python", "core")
    ),
    project.ArchiveProject(),
    board.CreateBoard(
        project_id=story.PROJECT,
        name="Flow",
        columns=(
            board.Column(name="To do", states=(TaskState.DRAFT, TaskState.READY)),
            board.Column(name="Doing", states=(TaskState.CLAIMED, TaskState.IN_PROGRESS), wip_limit=3),
        ),
    ),
    board.AddColumn(column="Review", states=(TaskState.IN_REVIEW,), wip_limit=5),
    board.MapColumn(column="To do", states=(TaskState.READY,)),
    board.LimitColumn(column="Doing", wip_limit=4),
    board.ReorderColumns(columns=("Doing", "To do", "Review")),
    board.ArchiveBoard(),
    task.CreateTask(
        project_id=story.PROJECT,
        title="Fix the login retry",
        description="The third attempt is never made.",
        board_id=story.BOARD,
        priority=1,
        labels=("bug",),
    ),
    task.EditTask(title="Fix the login retries", description="Off by one.", priority=0, labels=("bug", "auth")),
    task.LinkTask(kind=task.LinkKind.BLOCKS, to=story.BLOCKED_TASK),
    task.UnlinkTask(kind=task.LinkKind.BLOCKS, to=story.BLOCKED_TASK),
    task.MarkTaskReady(),
    task.ClaimTask(session_id=story.SESSION, ttl_seconds=60),
    task.RenewTask(fence=7, ttl_seconds=120),
    task.ReleaseTask(fence=7),
    task.StartTask(fence=7),
    task.SubmitTask(fence=7, evidence=story.EVIDENCE),
    task.AcceptTask(note="The test would have failed before."),
    task.RejectTask(reason="No test shows it."),
    task.BlockTask(reason="waits for the staging database"),
    task.UnblockTask(),
    task.CompleteTask(),
    task.CancelTask(reason="the login is going away"),
    task.ReopenTask(reason="it came back"),
    session.SpawnSession(
        blueprint=story.BLUEPRINT,
        project_id=story.PROJECT,
        parent_id=story.ROOT_SESSION,
        task_id=story.TASK,
        purpose="review the login",
        limits=story.LIMITS,
        labels=("review",),
    ),
    session.StartSession(),
    session.PauseSession(reason="waits for an answer"),
    session.ResumeSession(),
    session.CompleteSession(result="One bug found, one fixed."),
    session.FailSession(failure="model_unavailable", detail="no answer for 90 s"),
    session.CancelSession(reason="superseded"),
    session.IssueSessionToken(ttl_seconds=600),
    session.RevokeSessionTokens(reason="the token stood in a build log"),
    channel.OpenChannel(session_id=story.ROOT_SESSION, scope=story.SCOPE, name="Findings"),
    channel.PostMessage(kind="finding", body="retries = range(1, 3)", reply_to=1, reply_by_seconds=600),
    channel.AckMessages(cursor=2),
    channel.CloseChannel(reason="the review is over"),
    webhook.CreateWebhook(
        endpoint=story.WEBHOOK_URL, event_types=("TaskSubmitted", "TaskCompleted"), aggregates=("task",), after_seq=1024
    ),
    webhook.ConfigureWebhook(endpoint=story.WEBHOOK_URL, event_types=(), aggregates=("task", "session")),
    webhook.PauseWebhook(reason="the receiver moves house"),
    webhook.ResumeWebhook(after_seq=1024),
    webhook.RemoveWebhook(),
    webhook.RotateWebhookSecret(),
    webhook.ParkKey(key=story.WEBHOOK_KEY, seq=1042, reason="the receiver answered 500", attempts=8),
    webhook.RequeueKeys(key=story.WEBHOOK_KEY),
    webhook.ClearKey(key=story.WEBHOOK_KEY),
    system.RaiseFeatureLevel(level=2),
)
