"""The one list of commands and events. Routes, command line, SDK, schemas, documents and metrics derive from it."""

import functools
from dataclasses import dataclass, field
from typing import Any

import msgspec

from mpschema import board, channel, principal, project, session, system, task, webhook, workspace
from mpschema.base import Command, Event
from mpschema.envelope import EventRecord
from mpschema.levels import FIRST_LEVEL, TOKENS_LEVEL, TRIED_LEVEL, WEBHOOKS_LEVEL

AGGREGATES = {
    "workspace": "workspaces",
    "principal": "principals",
    "project": "projects",
    "board": "boards",
    "task": "tasks",
    "session": "sessions",
    "channel": "channels",
    "webhook": "webhooks",
}
"""Aggregate to the plural that names its collection in routes and tables."""

SINCE_LEVEL: dict[type[Event], int] = {
    system.FeatureLevelRaised: WEBHOOKS_LEVEL,
    webhook.WebhookCreated: WEBHOOKS_LEVEL,
    webhook.WebhookConfigured: WEBHOOKS_LEVEL,
    webhook.WebhookPaused: WEBHOOKS_LEVEL,
    webhook.WebhookResumed: WEBHOOKS_LEVEL,
    webhook.WebhookRemoved: WEBHOOKS_LEVEL,
    webhook.WebhookSecretRotated: WEBHOOKS_LEVEL,
    webhook.DeliveryParked: WEBHOOKS_LEVEL,
    webhook.DeliveryRequeued: WEBHOOKS_LEVEL,
    webhook.DeliveryCleared: WEBHOOKS_LEVEL,
    session.SessionTokensRevoked: TOKENS_LEVEL,
    system.LineTried: TRIED_LEVEL,
    system.LineSurvived: TRIED_LEVEL,
}
"""The feature level that each event came with, where it is not the first: builds of lower levels cannot read it."""


@dataclass(frozen=True)
class CommandSpec:
    """One command: its name on the wire, its arguments, whether it makes its target, and the events it may become."""

    command_type: str
    arguments: type[Command]
    emits: tuple[type[Event], ...]
    creates: bool = False
    version: int = 1

    @property
    def aggregate(self) -> str:
        """`task` of `task.claim`."""
        return self.command_type.partition(".")[0]

    @property
    def action(self) -> str:
        """`claim` of `task.claim`."""
        return self.command_type.partition(".")[2]

    @functools.cached_property
    def since_level(self) -> int:
        """The feature level a log must have before this command is decided: that of the newest event it may become."""
        return max(SINCE_LEVEL.get(event, FIRST_LEVEL) for event in self.emits)

    @property
    def summary(self) -> str:
        """The first line of the arguments' docstring."""
        return (self.arguments.__doc__ or "").partition("\n")[0]

    @property
    def route(self) -> str:
        """The HTTP path, with `{workspace_id}` and, where the target exists already, `{id}`."""
        if self.aggregate == system.LOG:
            return f"/v1/{system.LOG}/{self.action}"
        if self.aggregate == "workspace":
            return "/v1/workspaces" if self.creates else f"/v1/workspaces/{{workspace_id}}/{self.action}"
        base = f"/v1/workspaces/{{workspace_id}}/{AGGREGATES[self.aggregate]}"
        return base if self.creates else f"{base}/{{id}}/{self.action}"

    @functools.cached_property
    def decoder(self) -> msgspec.json.Decoder[Command]:
        """Strict decoder of the arguments."""
        return msgspec.json.Decoder(self.arguments)


@dataclass(frozen=True)
class EventSpec:
    """One event type in one version: its data, and the record class that carries it in the log."""

    aggregate: str
    data: type[Event]
    version: int = 1
    record: type[EventRecord] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        record = msgspec.defstruct(
            f"{self.name}RecordV{self.version}",
            [("data", self.data)],
            bases=(EventRecord,),
            namespace={"aggregate": self.aggregate, "event_type": self.event_type, "name": self.name},
            module=__name__,
            tag=self.event_type,
            tag_field="type",
            frozen=True,
            gc=False,
            forbid_unknown_fields=True,
            omit_defaults=True,
        )
        object.__setattr__(self, "record", record)

    @property
    def name(self) -> str:
        """`TaskClaimed`, also of `TaskClaimedV1`, as the data of a past version is called."""
        return self.data.__name__.removesuffix(f"V{self.version}")

    @property
    def since_level(self) -> int:
        """The feature level it came with."""
        return SINCE_LEVEL.get(self.data, FIRST_LEVEL)

    @property
    def event_type(self) -> str:
        """`mp.task.TaskClaimed.v1`."""
        return f"mp.{self.aggregate}.{self.name}.v{self.version}"


def _command(kind: str, arguments: type[Command], *emits: type[Event], creates: bool = False) -> CommandSpec:
    return CommandSpec(kind, arguments, emits, creates)


_ENDED = (session.SessionCanceled, task.TaskReleased)
COMMANDS: dict[str, CommandSpec] = {
    spec.command_type: spec
    for spec in (
        _command(
            "workspace.create", workspace.CreateWorkspace, workspace.WorkspaceCreated, principal.RoleBound, creates=True
        ),
        _command("workspace.rename", workspace.RenameWorkspace, workspace.WorkspaceRenamed),
        _command("workspace.freeze", workspace.FreezeWorkspace, workspace.WorkspaceFrozen),
        _command("workspace.thaw", workspace.ThawWorkspace, workspace.WorkspaceThawed),
        _command("workspace.archive", workspace.ArchiveWorkspace, workspace.WorkspaceArchived),
        _command("principal.bind_role", principal.BindRole, principal.RoleBound),
        _command("principal.unbind_role", principal.UnbindRole, principal.RoleUnbound),
        _command("principal.issue_key", principal.IssueKey, principal.KeyIssued),
        _command("principal.revoke_key", principal.RevokeKey, principal.KeyRevoked),
        _command("project.create", project.CreateProject, project.ProjectCreated, creates=True),
        _command("project.configure", project.ConfigureProject, project.ProjectConfigured),
        _command("project.archive", project.ArchiveProject, project.ProjectArchived),
        _command("board.create", board.CreateBoard, board.BoardCreated, creates=True),
        _command("board.add_column", board.AddColumn, board.ColumnAdded),
        _command("board.map_column", board.MapColumn, board.ColumnMapped),
        _command("board.limit_column", board.LimitColumn, board.ColumnLimited),
        _command("board.reorder", board.ReorderColumns, board.ColumnsReordered),
        _command("board.archive", board.ArchiveBoard, board.BoardArchived),
        _command("task.create", task.CreateTask, task.TaskCreated, creates=True),
        _command("task.edit", task.EditTask, task.TaskEdited),
        _command("task.link", task.LinkTask, task.TaskLinked),
        _command("task.unlink", task.UnlinkTask, task.TaskUnlinked),
        _command("task.mark_ready", task.MarkTaskReady, task.TaskReady),
        _command("task.claim", task.ClaimTask, task.TaskClaimed),
        _command("task.renew", task.RenewTask, task.TaskLeaseRenewed),
        _command("task.release", task.ReleaseTask, task.TaskReleased),
        _command("task.start", task.StartTask, task.TaskStarted),
        _command("task.submit", task.SubmitTask, task.TaskSubmitted),
        _command("task.accept", task.AcceptTask, task.TaskAccepted),
        _command("task.reject", task.RejectTask, task.TaskRejected, task.TaskReleased),
        _command("task.block", task.BlockTask, task.TaskBlocked),
        _command("task.unblock", task.UnblockTask, task.TaskUnblocked),
        _command("task.complete", task.CompleteTask, task.TaskCompleted),
        _command("task.cancel", task.CancelTask, task.TaskCanceled),
        _command("task.reopen", task.ReopenTask, task.TaskReopened),
        _command("session.spawn", session.SpawnSession, session.SessionSpawned, creates=True),
        _command("session.start", session.StartSession, session.SessionStarted),
        _command("session.pause", session.PauseSession, session.SessionPaused),
        _command("session.resume", session.ResumeSession, session.SessionResumed),
        _command("session.complete", session.CompleteSession, session.SessionCompleted, task.TaskReleased),
        _command("session.fail", session.FailSession, session.SessionFailed, *_ENDED),
        _command("session.cancel", session.CancelSession, *_ENDED),
        _command("session.issue_token", session.IssueSessionToken, session.SessionTokenIssued),
        _command("session.revoke_tokens", session.RevokeSessionTokens, session.SessionTokensRevoked),
        _command("channel.open", channel.OpenChannel, channel.ChannelOpened, creates=True),
        _command("channel.post", channel.PostMessage, channel.MessagePosted),
        _command("channel.ack", channel.AckMessages, channel.CursorAdvanced),
        _command("channel.close", channel.CloseChannel, channel.ChannelClosed),
        _command("webhook.create", webhook.CreateWebhook, webhook.WebhookCreated, creates=True),
        _command("webhook.configure", webhook.ConfigureWebhook, webhook.WebhookConfigured),
        _command("webhook.pause", webhook.PauseWebhook, webhook.WebhookPaused),
        _command("webhook.resume", webhook.ResumeWebhook, webhook.WebhookResumed, webhook.DeliveryCleared),
        _command("webhook.remove", webhook.RemoveWebhook, webhook.WebhookRemoved, webhook.DeliveryCleared),
        _command("webhook.rotate_secret", webhook.RotateWebhookSecret, webhook.WebhookSecretRotated),
        _command("webhook.park", webhook.ParkKey, webhook.DeliveryParked, webhook.WebhookPaused),
        _command("webhook.requeue", webhook.RequeueKeys, webhook.DeliveryRequeued),
        _command("webhook.clear", webhook.ClearKey, webhook.DeliveryCleared),
    )
}
"""Every command by its type."""

LOG_COMMANDS: dict[str, CommandSpec] = {
    spec.command_type: spec
    for spec in (_command("log.raise_feature_level", system.RaiseFeatureLevel, system.FeatureLevelRaised),)
}
"""Commands about the log itself, in the workspace `system`, which is no tenant's: for operators of the deployment."""

ALL_COMMANDS: dict[str, CommandSpec] = COMMANDS | LOG_COMMANDS
"""Whatever can be commanded, by its type: each has a route."""

_EVENT_DATA: dict[str, tuple[type[Event], ...]] = {
    "workspace": (
        workspace.WorkspaceCreated,
        workspace.WorkspaceRenamed,
        workspace.WorkspaceFrozen,
        workspace.WorkspaceThawed,
        workspace.WorkspaceArchived,
    ),
    "principal": (principal.RoleBound, principal.RoleUnbound, principal.KeyIssued, principal.KeyRevoked),
    "project": (project.ProjectCreated, project.ProjectConfigured, project.ProjectArchived),
    "board": (
        board.BoardCreated,
        board.ColumnAdded,
        board.ColumnMapped,
        board.ColumnLimited,
        board.ColumnsReordered,
        board.BoardArchived,
    ),
    "task": (
        task.TaskCreated,
        task.TaskEdited,
        task.TaskLinked,
        task.TaskUnlinked,
        task.TaskReady,
        task.TaskClaimed,
        task.TaskLeaseRenewed,
        task.TaskLeaseExpired,
        task.TaskReleased,
        task.TaskStarted,
        task.TaskSubmitted,
        task.TaskAccepted,
        task.TaskRejected,
        task.TaskBlocked,
        task.TaskUnblocked,
        task.TaskCompleted,
        task.TaskCanceled,
        task.TaskReopened,
    ),
    "session": (
        session.SessionSpawned,
        session.SessionStarted,
        session.SessionPaused,
        session.SessionResumed,
        session.SessionCompleted,
        session.SessionFailed,
        session.SessionCanceled,
        session.SessionTokenIssued,
        session.SessionTokensRevoked,
    ),
    "channel": (
        channel.ChannelOpened,
        channel.MessagePosted,
        channel.CursorAdvanced,
        channel.ReplyOverdue,
        channel.ChannelClosed,
    ),
    "webhook": (
        webhook.WebhookCreated,
        webhook.WebhookConfigured,
        webhook.WebhookPaused,
        webhook.WebhookResumed,
        webhook.WebhookRemoved,
        webhook.WebhookSecretRotated,
        webhook.DeliveryParked,
        webhook.DeliveryRequeued,
        webhook.DeliveryCleared,
    ),
    "command": (system.CommandRejected,),
    "timer": (system.TimerFired,),
    "log": (
        system.LeaderElected,
        system.LogCheckpointed,
        system.LogRestored,
        system.FeatureLevelRaised,
        system.LineTried,
        system.LineSurvived,
    ),
}

PAST_EVENTS: tuple[EventSpec, ...] = ()
"""Past versions of events, which stand in logs for ever: `EventSpec("task", task.TaskClaimedV1, 1)`."""


def _newest(aggregate: str, data: type[Event]) -> EventSpec:
    past = [spec for spec in PAST_EVENTS if (spec.aggregate, spec.name) == (aggregate, data.__name__)]
    return EventSpec(aggregate, data, 1 + len(past))


EVENTS: dict[str, EventSpec] = {
    spec.event_type: spec
    for spec in (
        *PAST_EVENTS,
        *(_newest(aggregate, data) for aggregate, kinds in _EVENT_DATA.items() for data in kinds),
    )
}
"""Every event type, in every version that may stand in a log, by its full type."""

RECORDS: dict[type[Event], type[EventRecord]] = {spec.data: spec.record for spec in EVENTS.values()}
"""The record class that carries an event's data."""


def record_of(event: Event, **envelope: Any) -> EventRecord:
    """The record of an event: its data in its envelope."""
    return RECORDS[type(event)](data=event, **envelope)
