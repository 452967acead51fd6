"""A typed method per command and query. Written by `python -m mpclient.generate`: never edited by hand."""

import datetime as dt
from collections.abc import AsyncGenerator, Generator, Sequence
from typing import Any, Literal, Protocol, TypeAlias, Unpack, cast

from mpschema.api import IssuedSecret, IssuedToken, Page
from mpschema.board import AddColumn, ArchiveBoard, Column, CreateBoard, LimitColumn, MapColumn, ReorderColumns
from mpschema.board.rows import BoardRow
from mpschema.channel import AckMessages, CloseChannel, OpenChannel, PostMessage, Scope
from mpschema.channel.rows import ChannelRow, CursorRow, MessageRow
from mpschema.ending import CancelSessions
from mpschema.envelope import Outcome, Status
from mpschema.principal import BindRole, IssueKey, RevokeKey, Role, UnbindRole
from mpschema.principal.rows import KeyRow, PrincipalRow
from mpschema.project import ArchiveProject, ConfigureProject, CreateProject
from mpschema.project.rows import ProjectRow
from mpschema.rejections import Code
from mpschema.session import (
    BlueprintRef,
    CancelSession,
    CompleteSession,
    FailSession,
    IssueSessionToken,
    PauseSession,
    ResumeSession,
    RevokeSessionTokens,
    SessionLimits,
    SessionState,
    SpawnSession,
    StartSession,
)
from mpschema.session.rows import SessionRow
from mpschema.sweep import SweepKind
from mpschema.sweep.rows import SweepRow
from mpschema.system import RaiseFeatureLevel, SetLimits
from mpschema.system.rows import CommandRow, EventRow, ProjectionRow
from mpschema.task import (
    AcceptTask,
    BlockTask,
    CancelTask,
    ClaimTask,
    CompleteTask,
    CreateTask,
    EditTask,
    Evidence,
    LinkKind,
    LinkTask,
    MarkTaskReady,
    RejectTask,
    ReleaseTask,
    RenewTask,
    ReopenTask,
    StartTask,
    SubmitTask,
    TaskState,
    UnblockTask,
    UnlinkTask,
)
from mpschema.task.rows import LinkRow, TaskRow
from mpschema.webhook import (
    ClearKey,
    ConfigureWebhook,
    CreateWebhook,
    ParkKey,
    PauseWebhook,
    RemoveWebhook,
    RequeueKeys,
    ResumeWebhook,
    RotateWebhookSecret,
    WebhookState,
)
from mpschema.webhook.rows import DeliveryRow, ParkedKeyRow, WaitingKeyRow, WebhookRow
from mpschema.workspace import ArchiveWorkspace, CreateWorkspace, FreezeWorkspace, RenameWorkspace, ThawWorkspace
from mpschema.workspace.rows import WorkspaceRow

from mpschema.system import LOG

from mpclient.calls import After, Arguments, CommandOptions, Order, R

CancelSessionsWord: TypeAlias = Literal["none", "running"]
CodeWord: TypeAlias = Literal[
    "schema_invalid",
    "unknown_type",
    "unknown_version",
    "too_large",
    "denied",
    "not_found",
    "already_exists",
    "name_taken",
    "invalid_state",
    "stale_version",
    "stale_fence",
    "stale_epoch",
    "idempotency_conflict",
    "frozen",
    "blocked",
    "cycle",
    "wip_limit_reached",
    "depth_exceeded",
    "fanout_exceeded",
    "authority_exceeded",
    "session_ended",
    "not_a_member",
    "last_owner",
    "overloaded",
    "unavailable",
    "undecidable",
    "archived",
]
LinkKindWord: TypeAlias = Literal["blocks", "parent", "discovered_from", "relates"]
RoleWord: TypeAlias = Literal["owner", "operator", "developer", "agent", "viewer"]
ScopeWord: TypeAlias = Literal["self", "parent", "children", "siblings", "subtree", "lineage", "project"]
SessionStateWord: TypeAlias = Literal["requested", "active", "paused", "completed", "failed", "canceled"]
StatusWord: TypeAlias = Literal["accepted", "rejected"]
SweepKindWord: TypeAlias = Literal["descendants", "claims", "project", "workspace"]
TaskStateWord: TypeAlias = Literal[
    "draft", "ready", "claimed", "in_progress", "in_review", "blocked", "done", "canceled"
]
WebhookStateWord: TypeAlias = Literal["active", "paused", "removed"]


class AsyncCaller(Protocol):
    """The operations that the nouns require of their client."""

    async def command(
        self, command_type: str, target: str, arguments: Arguments, **options: Unpack[CommandOptions]
    ) -> Outcome: ...
    async def row(
        self,
        kind: type[R],
        query_type: str,
        target: str = "",
        /,
        *,
        after: After = None,
        at_seq: int | None = None,
        at: dt.datetime | None = None,
    ) -> R: ...
    async def page(
        self, kind: type[R], query_type: str, target: str = "", /, *, after: After = None, **params: Any
    ) -> Page[R]: ...
    def pages(
        self, kind: type[R], query_type: str, target: str = "", /, *, after: After = None, **params: Any
    ) -> AsyncGenerator[R, None]: ...


class AsyncWorkspaces:
    """Commands and queries about workspaces."""

    def __init__(self, client: AsyncCaller) -> None:
        self._client = client

    async def create(self, *, id: str | None = None, name: str, **options: Unpack[CommandOptions]) -> Outcome:
        """Create a workspace; whoever creates it becomes its owner."""
        return await self._client.command("workspace.create", id or "", CreateWorkspace(name=name), **options)

    async def rename(self, id: str | None = None, *, name: str, **options: Unpack[CommandOptions]) -> Outcome:
        """Give the workspace another name."""
        return await self._client.command("workspace.rename", id or "", RenameWorkspace(name=name), **options)

    async def freeze(self, id: str | None = None, *, reason: str, **options: Unpack[CommandOptions]) -> Outcome:
        """Stop every change in the workspace until it is thawed."""
        return await self._client.command("workspace.freeze", id or "", FreezeWorkspace(reason=reason), **options)

    async def thaw(self, id: str | None = None, **options: Unpack[CommandOptions]) -> Outcome:
        """Let a frozen workspace change again."""
        return await self._client.command("workspace.thaw", id or "", ThawWorkspace(), **options)

    async def archive(
        self,
        id: str | None = None,
        *,
        cancel: CancelSessions | CancelSessionsWord = "none",
        **options: Unpack[CommandOptions],
    ) -> Outcome:
        """Close the workspace for good; refused while a session in it runs, unless those are to be canceled."""
        return await self._client.command(
            "workspace.archive", id or "", ArchiveWorkspace(cancel=CancelSessions(cancel)), **options
        )

    async def list(
        self, *, order: Order = "asc", limit: int | None = None, cursor: str | None = None, after: After = None
    ) -> Page[WorkspaceRow]:
        """List the workspaces you have a role in."""
        return await self._client.page(
            WorkspaceRow, "workspace.list", order=order, limit=limit, after=after, cursor=cursor
        )

    def iterate(
        self, *, order: Order = "asc", limit: int | None = None, after: After = None
    ) -> AsyncGenerator[WorkspaceRow, None]:
        """List the workspaces you have a role in: all of them, page by page."""
        return self._client.pages(WorkspaceRow, "workspace.list", order=order, limit=limit, after=after)

    async def get(
        self, id: str | None = None, *, after: After = None, at_seq: int | None = None, at: dt.datetime | None = None
    ) -> WorkspaceRow:
        """Show the workspace."""
        return await self._client.row(WorkspaceRow, "workspace.get", id or "", after=after, at_seq=at_seq, at=at)


class AsyncPrincipals:
    """Commands and queries about principals."""

    def __init__(self, client: AsyncCaller) -> None:
        self._client = client

    async def bind_role(self, id: str, *, role: Role | RoleWord, **options: Unpack[CommandOptions]) -> Outcome:
        """Give a principal a role in the workspace."""
        return await self._client.command("principal.bind_role", id, BindRole(role=Role(role)), **options)

    async def unbind_role(self, id: str, *, role: Role | RoleWord, **options: Unpack[CommandOptions]) -> Outcome:
        """Take a role from a principal."""
        return await self._client.command("principal.unbind_role", id, UnbindRole(role=Role(role)), **options)

    async def issue_key(
        self,
        id: str,
        *,
        key_id: str,
        key_hash: str,
        expires_at_ms: int | None = None,
        **options: Unpack[CommandOptions],
    ) -> Outcome:
        """Record an API key of a principal by its hash; the key itself is never stored."""
        return await self._client.command(
            "principal.issue_key",
            id,
            IssueKey(key_id=key_id, key_hash=key_hash, expires_at_ms=expires_at_ms),
            **options,
        )

    async def revoke_key(self, id: str, *, key_id: str, **options: Unpack[CommandOptions]) -> Outcome:
        """Make an API key invalid for good."""
        return await self._client.command("principal.revoke_key", id, RevokeKey(key_id=key_id), **options)

    async def list(
        self, *, order: Order = "asc", limit: int | None = None, cursor: str | None = None, after: After = None
    ) -> Page[PrincipalRow]:
        """List principals."""
        return await self._client.page(
            PrincipalRow, "principal.list", order=order, limit=limit, after=after, cursor=cursor
        )

    def iterate(
        self, *, order: Order = "asc", limit: int | None = None, after: After = None
    ) -> AsyncGenerator[PrincipalRow, None]:
        """List principals: all of them, page by page."""
        return self._client.pages(PrincipalRow, "principal.list", order=order, limit=limit, after=after)

    async def get(
        self, id: str, *, after: After = None, at_seq: int | None = None, at: dt.datetime | None = None
    ) -> PrincipalRow:
        """Show a principal."""
        return await self._client.row(PrincipalRow, "principal.get", id, after=after, at_seq=at_seq, at=at)

    async def keys(
        self, id: str, *, order: Order = "asc", limit: int | None = None, cursor: str | None = None, after: After = None
    ) -> Page[KeyRow]:
        """List a principal's API keys; never the keys themselves."""
        return await self._client.page(
            KeyRow, "principal.keys", id, order=order, limit=limit, after=after, cursor=cursor
        )

    def iterate_keys(
        self, id: str, *, order: Order = "asc", limit: int | None = None, after: After = None
    ) -> AsyncGenerator[KeyRow, None]:
        """List a principal's API keys; never the keys themselves: all of them, page by page."""
        return self._client.pages(KeyRow, "principal.keys", id, order=order, limit=limit, after=after)


class AsyncProjects:
    """Commands and queries about projects."""

    def __init__(self, client: AsyncCaller) -> None:
        self._client = client

    async def create(
        self,
        *,
        id: str | None = None,
        name: str,
        repo: str | None = None,
        default_branch: str | None = None,
        labels: Sequence[str] = (),
        **options: Unpack[CommandOptions],
    ) -> Outcome:
        """Create a project; its name is unique among the workspace's open projects."""
        return await self._client.command(
            "project.create",
            id or "",
            CreateProject(name=name, repo=repo, default_branch=default_branch, labels=tuple(labels)),
            **options,
        )

    async def configure(
        self,
        id: str,
        *,
        repo: str | None = None,
        default_branch: str | None = None,
        labels: Sequence[str] | None = None,
        **options: Unpack[CommandOptions],
    ) -> Outcome:
        """Change a project's repository, default branch or labels; what is left out stays."""
        return await self._client.command(
            "project.configure",
            id,
            ConfigureProject(
                repo=repo, default_branch=default_branch, labels=None if labels is None else tuple(labels)
            ),
            **options,
        )

    async def archive(
        self, id: str, *, cancel: CancelSessions | CancelSessionsWord = "none", **options: Unpack[CommandOptions]
    ) -> Outcome:
        """Close a project; refused while a session in it runs, unless those are to be canceled."""
        return await self._client.command(
            "project.archive", id, ArchiveProject(cancel=CancelSessions(cancel)), **options
        )

    async def list(
        self,
        *,
        name: str | None = None,
        state: str | None = None,
        order: Order = "asc",
        limit: int | None = None,
        cursor: str | None = None,
        after: After = None,
    ) -> Page[ProjectRow]:
        """List projects."""
        return await self._client.page(
            ProjectRow, "project.list", order=order, limit=limit, after=after, cursor=cursor, name=name, state=state
        )

    def iterate(
        self,
        *,
        name: str | None = None,
        state: str | None = None,
        order: Order = "asc",
        limit: int | None = None,
        after: After = None,
    ) -> AsyncGenerator[ProjectRow, None]:
        """List projects: all of them, page by page."""
        return self._client.pages(
            ProjectRow, "project.list", order=order, limit=limit, after=after, name=name, state=state
        )

    async def get(
        self, id: str, *, after: After = None, at_seq: int | None = None, at: dt.datetime | None = None
    ) -> ProjectRow:
        """Show a project."""
        return await self._client.row(ProjectRow, "project.get", id, after=after, at_seq=at_seq, at=at)


class AsyncBoards:
    """Commands and queries about boards."""

    def __init__(self, client: AsyncCaller) -> None:
        self._client = client

    async def create(
        self,
        *,
        id: str | None = None,
        project_id: str,
        name: str,
        columns: Sequence[Column] = (),
        **options: Unpack[CommandOptions],
    ) -> Outcome:
        """Create a board in a project."""
        return await self._client.command(
            "board.create", id or "", CreateBoard(project_id=project_id, name=name, columns=tuple(columns)), **options
        )

    async def add_column(
        self,
        id: str,
        *,
        column: str,
        states: Sequence[TaskState | TaskStateWord] = (),
        wip_limit: int | None = None,
        **options: Unpack[CommandOptions],
    ) -> Outcome:
        """Add a column at the right end of the board."""
        return await self._client.command(
            "board.add_column",
            id,
            AddColumn(column=column, states=tuple(TaskState(each) for each in states), wip_limit=wip_limit),
            **options,
        )

    async def map_column(
        self, id: str, *, column: str, states: Sequence[TaskState | TaskStateWord], **options: Unpack[CommandOptions]
    ) -> Outcome:
        """Say which task states a column shows; a state belongs to one column of a board."""
        return await self._client.command(
            "board.map_column",
            id,
            MapColumn(column=column, states=tuple(TaskState(each) for each in states)),
            **options,
        )

    async def limit_column(
        self, id: str, *, column: str, wip_limit: int | None = None, **options: Unpack[CommandOptions]
    ) -> Outcome:
        """Set or lift (by leaving it out) a column's limit on work in progress."""
        return await self._client.command(
            "board.limit_column", id, LimitColumn(column=column, wip_limit=wip_limit), **options
        )

    async def reorder(self, id: str, *, columns: Sequence[str], **options: Unpack[CommandOptions]) -> Outcome:
        """Put the columns in another order; names every column once."""
        return await self._client.command("board.reorder", id, ReorderColumns(columns=tuple(columns)), **options)

    async def archive(self, id: str, **options: Unpack[CommandOptions]) -> Outcome:
        """Close the board; its tasks stay."""
        return await self._client.command("board.archive", id, ArchiveBoard(), **options)

    async def list(
        self,
        *,
        project_id: str | None = None,
        state: str | None = None,
        order: Order = "asc",
        limit: int | None = None,
        cursor: str | None = None,
        after: After = None,
    ) -> Page[BoardRow]:
        """List boards."""
        return await self._client.page(
            BoardRow,
            "board.list",
            order=order,
            limit=limit,
            after=after,
            cursor=cursor,
            project_id=project_id,
            state=state,
        )

    def iterate(
        self,
        *,
        project_id: str | None = None,
        state: str | None = None,
        order: Order = "asc",
        limit: int | None = None,
        after: After = None,
    ) -> AsyncGenerator[BoardRow, None]:
        """List boards: all of them, page by page."""
        return self._client.pages(
            BoardRow, "board.list", order=order, limit=limit, after=after, project_id=project_id, state=state
        )

    async def get(
        self, id: str, *, after: After = None, at_seq: int | None = None, at: dt.datetime | None = None
    ) -> BoardRow:
        """Show a board."""
        return await self._client.row(BoardRow, "board.get", id, after=after, at_seq=at_seq, at=at)


class AsyncTasks:
    """Commands and queries about tasks."""

    def __init__(self, client: AsyncCaller) -> None:
        self._client = client

    async def create(
        self,
        *,
        id: str | None = None,
        project_id: str,
        title: str,
        description: str = "",
        board_id: str | None = None,
        priority: int = 2,
        labels: Sequence[str] = (),
        **options: Unpack[CommandOptions],
    ) -> Outcome:
        """Create a task in a project, as a draft."""
        return await self._client.command(
            "task.create",
            id or "",
            CreateTask(
                project_id=project_id,
                title=title,
                description=description,
                board_id=board_id,
                priority=priority,
                labels=tuple(labels),
            ),
            **options,
        )

    async def edit(
        self,
        id: str,
        *,
        title: str | None = None,
        description: str | None = None,
        priority: int | None = None,
        labels: Sequence[str] | None = None,
        **options: Unpack[CommandOptions],
    ) -> Outcome:
        """Change what a task says; what is left out stays."""
        return await self._client.command(
            "task.edit",
            id,
            EditTask(
                title=title,
                description=description,
                priority=priority,
                labels=None if labels is None else tuple(labels),
            ),
            **options,
        )

    async def link(
        self, id: str, *, kind: LinkKind | LinkKindWord, to: str, **options: Unpack[CommandOptions]
    ) -> Outcome:
        """Relate this task to another; `blocks` means this one must be done before the other."""
        return await self._client.command("task.link", id, LinkTask(kind=LinkKind(kind), to=to), **options)

    async def unlink(
        self, id: str, *, kind: LinkKind | LinkKindWord, to: str, **options: Unpack[CommandOptions]
    ) -> Outcome:
        """Take a link away."""
        return await self._client.command("task.unlink", id, UnlinkTask(kind=LinkKind(kind), to=to), **options)

    async def mark_ready(self, id: str, **options: Unpack[CommandOptions]) -> Outcome:
        """Offer the task to whoever may claim it; refused while something open blocks it."""
        return await self._client.command("task.mark_ready", id, MarkTaskReady(), **options)

    async def claim(
        self, id: str, *, session_id: str | None = None, ttl_seconds: int = 300, **options: Unpack[CommandOptions]
    ) -> Outcome:
        """Take the task for a time, by lease; the answer's event carries the fencing token."""
        return await self._client.command(
            "task.claim", id, ClaimTask(session_id=session_id, ttl_seconds=ttl_seconds), **options
        )

    async def renew(self, id: str, *, fence: int, ttl_seconds: int = 300, **options: Unpack[CommandOptions]) -> Outcome:
        """Hold the claim longer: the lease runs anew from now."""
        return await self._client.command("task.renew", id, RenewTask(fence=fence, ttl_seconds=ttl_seconds), **options)

    async def release(self, id: str, *, fence: int, **options: Unpack[CommandOptions]) -> Outcome:
        """Give the claim back; the task is ready again."""
        return await self._client.command("task.release", id, ReleaseTask(fence=fence), **options)

    async def start(self, id: str, *, fence: int, **options: Unpack[CommandOptions]) -> Outcome:
        """Begin the work."""
        return await self._client.command("task.start", id, StartTask(fence=fence), **options)

    async def submit(
        self, id: str, *, fence: int, evidence: Sequence[Evidence], **options: Unpack[CommandOptions]
    ) -> Outcome:
        """Hand the work in for review, with evidence."""
        return await self._client.command(
            "task.submit", id, SubmitTask(fence=fence, evidence=tuple(evidence)), **options
        )

    async def accept(self, id: str, *, note: str = "", **options: Unpack[CommandOptions]) -> Outcome:
        """Accept the evidence; the task can then be completed."""
        return await self._client.command("task.accept", id, AcceptTask(note=note), **options)

    async def reject(self, id: str, *, reason: str, **options: Unpack[CommandOptions]) -> Outcome:
        """Send the work back to its holder, with the reason."""
        return await self._client.command("task.reject", id, RejectTask(reason=reason), **options)

    async def block(self, id: str, *, reason: str, **options: Unpack[CommandOptions]) -> Outcome:
        """Stop the task for an outside reason; a claim on it ends."""
        return await self._client.command("task.block", id, BlockTask(reason=reason), **options)

    async def unblock(self, id: str, **options: Unpack[CommandOptions]) -> Outcome:
        """Take the block away."""
        return await self._client.command("task.unblock", id, UnblockTask(), **options)

    async def complete(self, id: str, **options: Unpack[CommandOptions]) -> Outcome:
        """Close an accepted task as done."""
        return await self._client.command("task.complete", id, CompleteTask(), **options)

    async def cancel(self, id: str, *, reason: str = "", **options: Unpack[CommandOptions]) -> Outcome:
        """Close the task without doing it."""
        return await self._client.command("task.cancel", id, CancelTask(reason=reason), **options)

    async def reopen(self, id: str, *, reason: str = "", **options: Unpack[CommandOptions]) -> Outcome:
        """Bring a closed task back, as a draft."""
        return await self._client.command("task.reopen", id, ReopenTask(reason=reason), **options)

    async def list(
        self,
        *,
        project_id: str | None = None,
        board_id: str | None = None,
        state: TaskState | TaskStateWord | None = None,
        holder: str | None = None,
        session_id: str | None = None,
        order: Order = "asc",
        limit: int | None = None,
        cursor: str | None = None,
        after: After = None,
    ) -> Page[TaskRow]:
        """List tasks."""
        return await self._client.page(
            TaskRow,
            "task.list",
            order=order,
            limit=limit,
            after=after,
            cursor=cursor,
            project_id=project_id,
            board_id=board_id,
            state=state,
            holder=holder,
            session_id=session_id,
        )

    def iterate(
        self,
        *,
        project_id: str | None = None,
        board_id: str | None = None,
        state: TaskState | TaskStateWord | None = None,
        holder: str | None = None,
        session_id: str | None = None,
        order: Order = "asc",
        limit: int | None = None,
        after: After = None,
    ) -> AsyncGenerator[TaskRow, None]:
        """List tasks: all of them, page by page."""
        return self._client.pages(
            TaskRow,
            "task.list",
            order=order,
            limit=limit,
            after=after,
            project_id=project_id,
            board_id=board_id,
            state=state,
            holder=holder,
            session_id=session_id,
        )

    async def get(
        self, id: str, *, after: After = None, at_seq: int | None = None, at: dt.datetime | None = None
    ) -> TaskRow:
        """Show a task."""
        return await self._client.row(TaskRow, "task.get", id, after=after, at_seq=at_seq, at=at)

    async def links(
        self,
        id: str,
        *,
        kind: LinkKind | LinkKindWord | None = None,
        order: Order = "asc",
        limit: int | None = None,
        cursor: str | None = None,
        after: After = None,
    ) -> Page[LinkRow]:
        """List a task's links to other tasks."""
        return await self._client.page(
            LinkRow, "task.links", id, order=order, limit=limit, after=after, cursor=cursor, kind=kind
        )

    def iterate_links(
        self,
        id: str,
        *,
        kind: LinkKind | LinkKindWord | None = None,
        order: Order = "asc",
        limit: int | None = None,
        after: After = None,
    ) -> AsyncGenerator[LinkRow, None]:
        """List a task's links to other tasks: all of them, page by page."""
        return self._client.pages(LinkRow, "task.links", id, order=order, limit=limit, after=after, kind=kind)


class AsyncSessions:
    """Commands and queries about sessions."""

    def __init__(self, client: AsyncCaller) -> None:
        self._client = client

    async def spawn(
        self,
        *,
        id: str | None = None,
        blueprint: BlueprintRef,
        project_id: str | None = None,
        parent_id: str | None = None,
        task_id: str | None = None,
        purpose: str = "",
        limits: SessionLimits | None = None,
        labels: Sequence[str] = (),
        **options: Unpack[CommandOptions],
    ) -> Outcome:
        """Ask for a session to run a blueprint, at the root of a new lineage or under a parent."""
        return await self._client.command(
            "session.spawn",
            id or "",
            SpawnSession(
                blueprint=blueprint,
                project_id=project_id,
                parent_id=parent_id,
                task_id=task_id,
                purpose=purpose,
                limits=limits,
                labels=tuple(labels),
            ),
            **options,
        )

    async def start(self, id: str, **options: Unpack[CommandOptions]) -> Outcome:
        """Begin to run."""
        return await self._client.command("session.start", id, StartSession(), **options)

    async def pause(self, id: str, *, reason: str = "", **options: Unpack[CommandOptions]) -> Outcome:
        """Hold the session; it may resume."""
        return await self._client.command("session.pause", id, PauseSession(reason=reason), **options)

    async def resume(self, id: str, **options: Unpack[CommandOptions]) -> Outcome:
        """Run on after a pause."""
        return await self._client.command("session.resume", id, ResumeSession(), **options)

    async def complete(self, id: str, *, result: str = "", **options: Unpack[CommandOptions]) -> Outcome:
        """End well; refused while a child of it is live."""
        return await self._client.command("session.complete", id, CompleteSession(result=result), **options)

    async def fail(self, id: str, *, failure: str, detail: str = "", **options: Unpack[CommandOptions]) -> Outcome:
        """End badly, with a class of failure; live descendants are canceled."""
        return await self._client.command("session.fail", id, FailSession(failure=failure, detail=detail), **options)

    async def cancel(self, id: str, *, reason: str = "", **options: Unpack[CommandOptions]) -> Outcome:
        """End the session and its whole live subtree."""
        return await self._client.command("session.cancel", id, CancelSession(reason=reason), **options)

    async def issue_token(self, id: str, *, ttl_seconds: int = 900, **options: Unpack[CommandOptions]) -> IssuedToken:
        """Record that a short-lived token was made for the agent that runs this session."""
        return cast(
            IssuedToken,
            await self._client.command(
                "session.issue_token", id, IssueSessionToken(ttl_seconds=ttl_seconds), **options
            ),
        )

    async def revoke_tokens(self, id: str, *, reason: str = "", **options: Unpack[CommandOptions]) -> Outcome:
        """Make every token invalid that was issued to the session so far; it goes on, and may be given a new one."""
        return await self._client.command("session.revoke_tokens", id, RevokeSessionTokens(reason=reason), **options)

    async def list(
        self,
        *,
        project_id: str | None = None,
        state: SessionState | SessionStateWord | None = None,
        root_id: str | None = None,
        parent_id: str | None = None,
        task_id: str | None = None,
        order: Order = "asc",
        limit: int | None = None,
        cursor: str | None = None,
        after: After = None,
    ) -> Page[SessionRow]:
        """List sessions."""
        return await self._client.page(
            SessionRow,
            "session.list",
            order=order,
            limit=limit,
            after=after,
            cursor=cursor,
            project_id=project_id,
            state=state,
            root_id=root_id,
            parent_id=parent_id,
            task_id=task_id,
        )

    def iterate(
        self,
        *,
        project_id: str | None = None,
        state: SessionState | SessionStateWord | None = None,
        root_id: str | None = None,
        parent_id: str | None = None,
        task_id: str | None = None,
        order: Order = "asc",
        limit: int | None = None,
        after: After = None,
    ) -> AsyncGenerator[SessionRow, None]:
        """List sessions: all of them, page by page."""
        return self._client.pages(
            SessionRow,
            "session.list",
            order=order,
            limit=limit,
            after=after,
            project_id=project_id,
            state=state,
            root_id=root_id,
            parent_id=parent_id,
            task_id=task_id,
        )

    async def get(
        self, id: str, *, after: After = None, at_seq: int | None = None, at: dt.datetime | None = None
    ) -> SessionRow:
        """Show a session."""
        return await self._client.row(SessionRow, "session.get", id, after=after, at_seq=at_seq, at=at)

    async def ancestors(
        self, id: str, *, order: Order = "asc", limit: int | None = None, cursor: str | None = None, after: After = None
    ) -> Page[SessionRow]:
        """List a session's ancestors, root first."""
        return await self._client.page(
            SessionRow, "session.ancestors", id, order=order, limit=limit, after=after, cursor=cursor
        )

    def iterate_ancestors(
        self, id: str, *, order: Order = "asc", limit: int | None = None, after: After = None
    ) -> AsyncGenerator[SessionRow, None]:
        """List a session's ancestors, root first: all of them, page by page."""
        return self._client.pages(SessionRow, "session.ancestors", id, order=order, limit=limit, after=after)

    async def descendants(
        self,
        id: str,
        *,
        state: SessionState | SessionStateWord | None = None,
        order: Order = "asc",
        limit: int | None = None,
        cursor: str | None = None,
        after: After = None,
    ) -> Page[SessionRow]:
        """List a session's descendants."""
        return await self._client.page(
            SessionRow, "session.descendants", id, order=order, limit=limit, after=after, cursor=cursor, state=state
        )

    def iterate_descendants(
        self,
        id: str,
        *,
        state: SessionState | SessionStateWord | None = None,
        order: Order = "asc",
        limit: int | None = None,
        after: After = None,
    ) -> AsyncGenerator[SessionRow, None]:
        """List a session's descendants: all of them, page by page."""
        return self._client.pages(
            SessionRow, "session.descendants", id, order=order, limit=limit, after=after, state=state
        )


class AsyncChannels:
    """Commands and queries about channels."""

    def __init__(self, client: AsyncCaller) -> None:
        self._client = client

    async def open(
        self,
        *,
        id: str | None = None,
        session_id: str,
        scope: Scope | ScopeWord,
        name: str,
        **options: Unpack[CommandOptions],
    ) -> Outcome:
        """Open a channel anchored to a session, for those its scope names."""
        return await self._client.command(
            "channel.open", id or "", OpenChannel(session_id=session_id, scope=Scope(scope), name=name), **options
        )

    async def post(
        self,
        id: str,
        *,
        kind: str,
        body: str,
        reply_to: int | None = None,
        reply_by_seconds: int | None = None,
        **options: Unpack[CommandOptions],
    ) -> Outcome:
        """Say something in the channel; `reply_by_seconds` asks for an answer in that time."""
        return await self._client.command(
            "channel.post",
            id,
            PostMessage(kind=kind, body=body, reply_to=reply_to, reply_by_seconds=reply_by_seconds),
            **options,
        )

    async def ack(self, id: str, *, cursor: int, **options: Unpack[CommandOptions]) -> Outcome:
        """Say up to which message the caller has read."""
        return await self._client.command("channel.ack", id, AckMessages(cursor=cursor), **options)

    async def close(self, id: str, *, reason: str = "", **options: Unpack[CommandOptions]) -> Outcome:
        """Close the channel; it stays readable."""
        return await self._client.command("channel.close", id, CloseChannel(reason=reason), **options)

    async def list(
        self,
        *,
        session_id: str | None = None,
        state: str | None = None,
        scope: Scope | ScopeWord | None = None,
        order: Order = "asc",
        limit: int | None = None,
        cursor: str | None = None,
        after: After = None,
    ) -> Page[ChannelRow]:
        """List channels."""
        return await self._client.page(
            ChannelRow,
            "channel.list",
            order=order,
            limit=limit,
            after=after,
            cursor=cursor,
            session_id=session_id,
            state=state,
            scope=scope,
        )

    def iterate(
        self,
        *,
        session_id: str | None = None,
        state: str | None = None,
        scope: Scope | ScopeWord | None = None,
        order: Order = "asc",
        limit: int | None = None,
        after: After = None,
    ) -> AsyncGenerator[ChannelRow, None]:
        """List channels: all of them, page by page."""
        return self._client.pages(
            ChannelRow,
            "channel.list",
            order=order,
            limit=limit,
            after=after,
            session_id=session_id,
            state=state,
            scope=scope,
        )

    async def get(
        self, id: str, *, after: After = None, at_seq: int | None = None, at: dt.datetime | None = None
    ) -> ChannelRow:
        """Show a channel."""
        return await self._client.row(ChannelRow, "channel.get", id, after=after, at_seq=at_seq, at=at)

    async def messages(
        self,
        id: str,
        *,
        kind: str | None = None,
        sender: str | None = None,
        order: Order = "asc",
        limit: int | None = None,
        cursor: str | None = None,
        after: After = None,
    ) -> Page[MessageRow]:
        """List a channel's messages in order."""
        return await self._client.page(
            MessageRow,
            "channel.messages",
            id,
            order=order,
            limit=limit,
            after=after,
            cursor=cursor,
            kind=kind,
            sender=sender,
        )

    def iterate_messages(
        self,
        id: str,
        *,
        kind: str | None = None,
        sender: str | None = None,
        order: Order = "asc",
        limit: int | None = None,
        after: After = None,
    ) -> AsyncGenerator[MessageRow, None]:
        """List a channel's messages in order: all of them, page by page."""
        return self._client.pages(
            MessageRow, "channel.messages", id, order=order, limit=limit, after=after, kind=kind, sender=sender
        )

    async def cursors(
        self,
        id: str,
        *,
        reader: str | None = None,
        order: Order = "asc",
        limit: int | None = None,
        cursor: str | None = None,
        after: After = None,
    ) -> Page[CursorRow]:
        """List how far each reader has read."""
        return await self._client.page(
            CursorRow, "channel.cursors", id, order=order, limit=limit, after=after, cursor=cursor, reader=reader
        )

    def iterate_cursors(
        self, id: str, *, reader: str | None = None, order: Order = "asc", limit: int | None = None, after: After = None
    ) -> AsyncGenerator[CursorRow, None]:
        """List how far each reader has read: all of them, page by page."""
        return self._client.pages(
            CursorRow, "channel.cursors", id, order=order, limit=limit, after=after, reader=reader
        )


class AsyncWebhooks:
    """Commands and queries about webhooks."""

    def __init__(self, client: AsyncCaller) -> None:
        self._client = client

    async def create(
        self,
        *,
        id: str | None = None,
        endpoint: str,
        event_types: Sequence[str] = (),
        aggregates: Sequence[str] = (),
        after_seq: int | None = None,
        **options: Unpack[CommandOptions],
    ) -> IssuedSecret:
        """Deliver the workspace's events to an endpoint: from now on, or after event `after_seq` (0: from the start)."""
        return cast(
            IssuedSecret,
            await self._client.command(
                "webhook.create",
                id or "",
                CreateWebhook(
                    endpoint=endpoint, event_types=tuple(event_types), aggregates=tuple(aggregates), after_seq=after_seq
                ),
                **options,
            ),
        )

    async def configure(
        self,
        id: str,
        *,
        endpoint: str | None = None,
        event_types: Sequence[str] | None = None,
        aggregates: Sequence[str] | None = None,
        **options: Unpack[CommandOptions],
    ) -> Outcome:
        """Change a webhook's endpoint or its selection of events; what is left out stays."""
        return await self._client.command(
            "webhook.configure",
            id,
            ConfigureWebhook(
                endpoint=endpoint,
                event_types=None if event_types is None else tuple(event_types),
                aggregates=None if aggregates is None else tuple(aggregates),
            ),
            **options,
        )

    async def pause(self, id: str, *, reason: str = "", **options: Unpack[CommandOptions]) -> Outcome:
        """Deliver nothing more until the webhook is resumed. Nothing is lost meanwhile."""
        return await self._client.command("webhook.pause", id, PauseWebhook(reason=reason), **options)

    async def resume(self, id: str, *, after_seq: int | None = None, **options: Unpack[CommandOptions]) -> Outcome:
        """Deliver again: from where it stopped, or everything after event `after_seq`; then nothing is parked any more."""
        return await self._client.command("webhook.resume", id, ResumeWebhook(after_seq=after_seq), **options)

    async def remove(self, id: str, **options: Unpack[CommandOptions]) -> Outcome:
        """End a webhook for good."""
        return await self._client.command("webhook.remove", id, RemoveWebhook(), **options)

    async def rotate_secret(self, id: str, **options: Unpack[CommandOptions]) -> IssuedSecret:
        """Sign with a new secret. For 24 hours the old one signs, too, so that the receiver can change over."""
        return cast(
            IssuedSecret, await self._client.command("webhook.rotate_secret", id, RotateWebhookSecret(), **options)
        )

    async def park(
        self, id: str, *, key: str, seq: int, reason: str, attempts: int, **options: Unpack[CommandOptions]
    ) -> Outcome:
        """Record that the events of one aggregate wait, after too many failures to deliver the one at `seq`."""
        return await self._client.command(
            "webhook.park", id, ParkKey(key=key, seq=seq, reason=reason, attempts=attempts), **options
        )

    async def requeue(self, id: str, *, key: str | None = None, **options: Unpack[CommandOptions]) -> Outcome:
        """Deliver what is parked: of one key, or of all. In order, from the event that failed."""
        return await self._client.command("webhook.requeue", id, RequeueKeys(key=key), **options)

    async def clear(self, id: str, *, key: str, **options: Unpack[CommandOptions]) -> Outcome:
        """Record that a key that was requeued has caught up."""
        return await self._client.command("webhook.clear", id, ClearKey(key=key), **options)

    async def list(
        self,
        *,
        state: WebhookState | WebhookStateWord | None = None,
        order: Order = "asc",
        limit: int | None = None,
        cursor: str | None = None,
        after: After = None,
    ) -> Page[WebhookRow]:
        """List webhooks."""
        return await self._client.page(
            WebhookRow, "webhook.list", order=order, limit=limit, after=after, cursor=cursor, state=state
        )

    def iterate(
        self,
        *,
        state: WebhookState | WebhookStateWord | None = None,
        order: Order = "asc",
        limit: int | None = None,
        after: After = None,
    ) -> AsyncGenerator[WebhookRow, None]:
        """List webhooks: all of them, page by page."""
        return self._client.pages(WebhookRow, "webhook.list", order=order, limit=limit, after=after, state=state)

    async def get(
        self, id: str, *, after: After = None, at_seq: int | None = None, at: dt.datetime | None = None
    ) -> WebhookRow:
        """Show a webhook."""
        return await self._client.row(WebhookRow, "webhook.get", id, after=after, at_seq=at_seq, at=at)

    async def parked(
        self,
        id: str,
        *,
        state: str | None = None,
        order: Order = "asc",
        limit: int | None = None,
        cursor: str | None = None,
        after: After = None,
    ) -> Page[ParkedKeyRow]:
        """List what a webhook has parked."""
        return await self._client.page(
            ParkedKeyRow, "webhook.parked", id, order=order, limit=limit, after=after, cursor=cursor, state=state
        )

    def iterate_parked(
        self, id: str, *, state: str | None = None, order: Order = "asc", limit: int | None = None, after: After = None
    ) -> AsyncGenerator[ParkedKeyRow, None]:
        """List what a webhook has parked: all of them, page by page."""
        return self._client.pages(
            ParkedKeyRow, "webhook.parked", id, order=order, limit=limit, after=after, state=state
        )

    async def deliveries(
        self, id: str, *, order: Order = "asc", limit: int | None = None, cursor: str | None = None, after: After = None
    ) -> Page[DeliveryRow]:
        """List how far a webhook has delivered."""
        return await self._client.page(
            DeliveryRow, "webhook.deliveries", id, order=order, limit=limit, after=after, cursor=cursor
        )

    def iterate_deliveries(
        self, id: str, *, order: Order = "asc", limit: int | None = None, after: After = None
    ) -> AsyncGenerator[DeliveryRow, None]:
        """List how far a webhook has delivered: all of them, page by page."""
        return self._client.pages(DeliveryRow, "webhook.deliveries", id, order=order, limit=limit, after=after)

    async def waiting(
        self, id: str, *, order: Order = "asc", limit: int | None = None, cursor: str | None = None, after: After = None
    ) -> Page[WaitingKeyRow]:
        """List the aggregates whose events wait because the last attempt failed."""
        return await self._client.page(
            WaitingKeyRow, "webhook.waiting", id, order=order, limit=limit, after=after, cursor=cursor
        )

    def iterate_waiting(
        self, id: str, *, order: Order = "asc", limit: int | None = None, after: After = None
    ) -> AsyncGenerator[WaitingKeyRow, None]:
        """List the aggregates whose events wait because the last attempt failed: all of them, page by page."""
        return self._client.pages(WaitingKeyRow, "webhook.waiting", id, order=order, limit=limit, after=after)


class AsyncSweeps:
    """Commands and queries about sweeps."""

    def __init__(self, client: AsyncCaller) -> None:
        self._client = client

    async def list(
        self,
        *,
        kind: SweepKind | SweepKindWord | None = None,
        scope: str | None = None,
        state: str | None = None,
        order: Order = "asc",
        limit: int | None = None,
        cursor: str | None = None,
        after: After = None,
    ) -> Page[SweepRow]:
        """List sweeps."""
        return await self._client.page(
            SweepRow,
            "sweep.list",
            order=order,
            limit=limit,
            after=after,
            cursor=cursor,
            kind=kind,
            scope=scope,
            state=state,
        )

    def iterate(
        self,
        *,
        kind: SweepKind | SweepKindWord | None = None,
        scope: str | None = None,
        state: str | None = None,
        order: Order = "asc",
        limit: int | None = None,
        after: After = None,
    ) -> AsyncGenerator[SweepRow, None]:
        """List sweeps: all of them, page by page."""
        return self._client.pages(
            SweepRow, "sweep.list", order=order, limit=limit, after=after, kind=kind, scope=scope, state=state
        )

    async def get(
        self, id: str, *, after: After = None, at_seq: int | None = None, at: dt.datetime | None = None
    ) -> SweepRow:
        """Show a sweep."""
        return await self._client.row(SweepRow, "sweep.get", id, after=after, at_seq=at_seq, at=at)


class AsyncLog:
    """Commands and queries about log."""

    def __init__(self, client: AsyncCaller) -> None:
        self._client = client

    async def raise_feature_level(self, *, level: int, **options: Unpack[CommandOptions]) -> Outcome:
        """Let the log hold what came with a later feature level: builds of earlier levels halt from here on."""
        return await self._client.command("log.raise_feature_level", LOG, RaiseFeatureLevel(level=level), **options)

    async def set_limits(
        self,
        *,
        lineage_live_max: int | None = None,
        outcome_days: int | None = None,
        sweep_facts: int | None = None,
        **options: Unpack[CommandOptions],
    ) -> Outcome:
        """Change limits of the whole log; what is left out stays as it is."""
        return await self._client.command(
            "log.set_limits",
            LOG,
            SetLimits(lineage_live_max=lineage_live_max, outcome_days=outcome_days, sweep_facts=sweep_facts),
            **options,
        )


class AsyncCommands:
    """Commands and queries about commands."""

    def __init__(self, client: AsyncCaller) -> None:
        self._client = client

    async def list(
        self,
        *,
        status: Status | StatusWord | None = None,
        code: Code | CodeWord | None = None,
        actor: str | None = None,
        idempotency_key: str | None = None,
        target: str | None = None,
        order: Order = "asc",
        limit: int | None = None,
        cursor: str | None = None,
        after: After = None,
    ) -> Page[CommandRow]:
        """List commands."""
        return await self._client.page(
            CommandRow,
            "command.list",
            order=order,
            limit=limit,
            after=after,
            cursor=cursor,
            status=status,
            code=code,
            actor=actor,
            idempotency_key=idempotency_key,
            target=target,
        )

    def iterate(
        self,
        *,
        status: Status | StatusWord | None = None,
        code: Code | CodeWord | None = None,
        actor: str | None = None,
        idempotency_key: str | None = None,
        target: str | None = None,
        order: Order = "asc",
        limit: int | None = None,
        after: After = None,
    ) -> AsyncGenerator[CommandRow, None]:
        """List commands: all of them, page by page."""
        return self._client.pages(
            CommandRow,
            "command.list",
            order=order,
            limit=limit,
            after=after,
            status=status,
            code=code,
            actor=actor,
            idempotency_key=idempotency_key,
            target=target,
        )

    async def get(
        self, id: str, *, after: After = None, at_seq: int | None = None, at: dt.datetime | None = None
    ) -> CommandRow:
        """Show a command."""
        return await self._client.row(CommandRow, "command.get", id, after=after, at_seq=at_seq, at=at)


class AsyncHistory:
    """Commands and queries about history."""

    def __init__(self, client: AsyncCaller) -> None:
        self._client = client

    async def list(
        self,
        *,
        event_type: str | None = None,
        aggregate: str | None = None,
        aggregate_id: str | None = None,
        actor: str | None = None,
        order: Order = "asc",
        limit: int | None = None,
        cursor: str | None = None,
        after: After = None,
    ) -> Page[EventRow]:
        """List recorded events."""
        return await self._client.page(
            EventRow,
            "event.list",
            order=order,
            limit=limit,
            after=after,
            cursor=cursor,
            event_type=event_type,
            aggregate=aggregate,
            aggregate_id=aggregate_id,
            actor=actor,
        )

    def iterate(
        self,
        *,
        event_type: str | None = None,
        aggregate: str | None = None,
        aggregate_id: str | None = None,
        actor: str | None = None,
        order: Order = "asc",
        limit: int | None = None,
        after: After = None,
    ) -> AsyncGenerator[EventRow, None]:
        """List recorded events: all of them, page by page."""
        return self._client.pages(
            EventRow,
            "event.list",
            order=order,
            limit=limit,
            after=after,
            event_type=event_type,
            aggregate=aggregate,
            aggregate_id=aggregate_id,
            actor=actor,
        )


class AsyncProjections:
    """Commands and queries about projections."""

    def __init__(self, client: AsyncCaller) -> None:
        self._client = client

    async def list(
        self, *, order: Order = "asc", limit: int | None = None, cursor: str | None = None, after: After = None
    ) -> Page[ProjectionRow]:
        """List projections and their lag."""
        return await self._client.page(
            ProjectionRow, "projection.list", order=order, limit=limit, after=after, cursor=cursor
        )

    def iterate(
        self, *, order: Order = "asc", limit: int | None = None, after: After = None
    ) -> AsyncGenerator[ProjectionRow, None]:
        """List projections and their lag: all of them, page by page."""
        return self._client.pages(ProjectionRow, "projection.list", order=order, limit=limit, after=after)


class AsyncNouns:
    """Every noun, as an attribute of the client."""

    def __init__(self, client: AsyncCaller) -> None:
        self.workspaces = AsyncWorkspaces(client)
        self.principals = AsyncPrincipals(client)
        self.projects = AsyncProjects(client)
        self.boards = AsyncBoards(client)
        self.tasks = AsyncTasks(client)
        self.sessions = AsyncSessions(client)
        self.channels = AsyncChannels(client)
        self.webhooks = AsyncWebhooks(client)
        self.sweeps = AsyncSweeps(client)
        self.log = AsyncLog(client)
        self.commands = AsyncCommands(client)
        self.history = AsyncHistory(client)
        self.projections = AsyncProjections(client)


class Caller(Protocol):
    """The operations that the nouns require of their client."""

    def command(
        self, command_type: str, target: str, arguments: Arguments, **options: Unpack[CommandOptions]
    ) -> Outcome: ...
    def row(
        self,
        kind: type[R],
        query_type: str,
        target: str = "",
        /,
        *,
        after: After = None,
        at_seq: int | None = None,
        at: dt.datetime | None = None,
    ) -> R: ...
    def page(
        self, kind: type[R], query_type: str, target: str = "", /, *, after: After = None, **params: Any
    ) -> Page[R]: ...
    def pages(
        self, kind: type[R], query_type: str, target: str = "", /, *, after: After = None, **params: Any
    ) -> Generator[R, None, None]: ...


class Workspaces:
    """Commands and queries about workspaces."""

    def __init__(self, client: Caller) -> None:
        self._client = client

    def create(self, *, id: str | None = None, name: str, **options: Unpack[CommandOptions]) -> Outcome:
        """Create a workspace; whoever creates it becomes its owner."""
        return self._client.command("workspace.create", id or "", CreateWorkspace(name=name), **options)

    def rename(self, id: str | None = None, *, name: str, **options: Unpack[CommandOptions]) -> Outcome:
        """Give the workspace another name."""
        return self._client.command("workspace.rename", id or "", RenameWorkspace(name=name), **options)

    def freeze(self, id: str | None = None, *, reason: str, **options: Unpack[CommandOptions]) -> Outcome:
        """Stop every change in the workspace until it is thawed."""
        return self._client.command("workspace.freeze", id or "", FreezeWorkspace(reason=reason), **options)

    def thaw(self, id: str | None = None, **options: Unpack[CommandOptions]) -> Outcome:
        """Let a frozen workspace change again."""
        return self._client.command("workspace.thaw", id or "", ThawWorkspace(), **options)

    def archive(
        self,
        id: str | None = None,
        *,
        cancel: CancelSessions | CancelSessionsWord = "none",
        **options: Unpack[CommandOptions],
    ) -> Outcome:
        """Close the workspace for good; refused while a session in it runs, unless those are to be canceled."""
        return self._client.command(
            "workspace.archive", id or "", ArchiveWorkspace(cancel=CancelSessions(cancel)), **options
        )

    def list(
        self, *, order: Order = "asc", limit: int | None = None, cursor: str | None = None, after: After = None
    ) -> Page[WorkspaceRow]:
        """List the workspaces you have a role in."""
        return self._client.page(WorkspaceRow, "workspace.list", order=order, limit=limit, after=after, cursor=cursor)

    def iterate(
        self, *, order: Order = "asc", limit: int | None = None, after: After = None
    ) -> Generator[WorkspaceRow, None, None]:
        """List the workspaces you have a role in: all of them, page by page."""
        return self._client.pages(WorkspaceRow, "workspace.list", order=order, limit=limit, after=after)

    def get(
        self, id: str | None = None, *, after: After = None, at_seq: int | None = None, at: dt.datetime | None = None
    ) -> WorkspaceRow:
        """Show the workspace."""
        return self._client.row(WorkspaceRow, "workspace.get", id or "", after=after, at_seq=at_seq, at=at)


class Principals:
    """Commands and queries about principals."""

    def __init__(self, client: Caller) -> None:
        self._client = client

    def bind_role(self, id: str, *, role: Role | RoleWord, **options: Unpack[CommandOptions]) -> Outcome:
        """Give a principal a role in the workspace."""
        return self._client.command("principal.bind_role", id, BindRole(role=Role(role)), **options)

    def unbind_role(self, id: str, *, role: Role | RoleWord, **options: Unpack[CommandOptions]) -> Outcome:
        """Take a role from a principal."""
        return self._client.command("principal.unbind_role", id, UnbindRole(role=Role(role)), **options)

    def issue_key(
        self,
        id: str,
        *,
        key_id: str,
        key_hash: str,
        expires_at_ms: int | None = None,
        **options: Unpack[CommandOptions],
    ) -> Outcome:
        """Record an API key of a principal by its hash; the key itself is never stored."""
        return self._client.command(
            "principal.issue_key",
            id,
            IssueKey(key_id=key_id, key_hash=key_hash, expires_at_ms=expires_at_ms),
            **options,
        )

    def revoke_key(self, id: str, *, key_id: str, **options: Unpack[CommandOptions]) -> Outcome:
        """Make an API key invalid for good."""
        return self._client.command("principal.revoke_key", id, RevokeKey(key_id=key_id), **options)

    def list(
        self, *, order: Order = "asc", limit: int | None = None, cursor: str | None = None, after: After = None
    ) -> Page[PrincipalRow]:
        """List principals."""
        return self._client.page(PrincipalRow, "principal.list", order=order, limit=limit, after=after, cursor=cursor)

    def iterate(
        self, *, order: Order = "asc", limit: int | None = None, after: After = None
    ) -> Generator[PrincipalRow, None, None]:
        """List principals: all of them, page by page."""
        return self._client.pages(PrincipalRow, "principal.list", order=order, limit=limit, after=after)

    def get(
        self, id: str, *, after: After = None, at_seq: int | None = None, at: dt.datetime | None = None
    ) -> PrincipalRow:
        """Show a principal."""
        return self._client.row(PrincipalRow, "principal.get", id, after=after, at_seq=at_seq, at=at)

    def keys(
        self, id: str, *, order: Order = "asc", limit: int | None = None, cursor: str | None = None, after: After = None
    ) -> Page[KeyRow]:
        """List a principal's API keys; never the keys themselves."""
        return self._client.page(KeyRow, "principal.keys", id, order=order, limit=limit, after=after, cursor=cursor)

    def iterate_keys(
        self, id: str, *, order: Order = "asc", limit: int | None = None, after: After = None
    ) -> Generator[KeyRow, None, None]:
        """List a principal's API keys; never the keys themselves: all of them, page by page."""
        return self._client.pages(KeyRow, "principal.keys", id, order=order, limit=limit, after=after)


class Projects:
    """Commands and queries about projects."""

    def __init__(self, client: Caller) -> None:
        self._client = client

    def create(
        self,
        *,
        id: str | None = None,
        name: str,
        repo: str | None = None,
        default_branch: str | None = None,
        labels: Sequence[str] = (),
        **options: Unpack[CommandOptions],
    ) -> Outcome:
        """Create a project; its name is unique among the workspace's open projects."""
        return self._client.command(
            "project.create",
            id or "",
            CreateProject(name=name, repo=repo, default_branch=default_branch, labels=tuple(labels)),
            **options,
        )

    def configure(
        self,
        id: str,
        *,
        repo: str | None = None,
        default_branch: str | None = None,
        labels: Sequence[str] | None = None,
        **options: Unpack[CommandOptions],
    ) -> Outcome:
        """Change a project's repository, default branch or labels; what is left out stays."""
        return self._client.command(
            "project.configure",
            id,
            ConfigureProject(
                repo=repo, default_branch=default_branch, labels=None if labels is None else tuple(labels)
            ),
            **options,
        )

    def archive(
        self, id: str, *, cancel: CancelSessions | CancelSessionsWord = "none", **options: Unpack[CommandOptions]
    ) -> Outcome:
        """Close a project; refused while a session in it runs, unless those are to be canceled."""
        return self._client.command("project.archive", id, ArchiveProject(cancel=CancelSessions(cancel)), **options)

    def list(
        self,
        *,
        name: str | None = None,
        state: str | None = None,
        order: Order = "asc",
        limit: int | None = None,
        cursor: str | None = None,
        after: After = None,
    ) -> Page[ProjectRow]:
        """List projects."""
        return self._client.page(
            ProjectRow, "project.list", order=order, limit=limit, after=after, cursor=cursor, name=name, state=state
        )

    def iterate(
        self,
        *,
        name: str | None = None,
        state: str | None = None,
        order: Order = "asc",
        limit: int | None = None,
        after: After = None,
    ) -> Generator[ProjectRow, None, None]:
        """List projects: all of them, page by page."""
        return self._client.pages(
            ProjectRow, "project.list", order=order, limit=limit, after=after, name=name, state=state
        )

    def get(
        self, id: str, *, after: After = None, at_seq: int | None = None, at: dt.datetime | None = None
    ) -> ProjectRow:
        """Show a project."""
        return self._client.row(ProjectRow, "project.get", id, after=after, at_seq=at_seq, at=at)


class Boards:
    """Commands and queries about boards."""

    def __init__(self, client: Caller) -> None:
        self._client = client

    def create(
        self,
        *,
        id: str | None = None,
        project_id: str,
        name: str,
        columns: Sequence[Column] = (),
        **options: Unpack[CommandOptions],
    ) -> Outcome:
        """Create a board in a project."""
        return self._client.command(
            "board.create", id or "", CreateBoard(project_id=project_id, name=name, columns=tuple(columns)), **options
        )

    def add_column(
        self,
        id: str,
        *,
        column: str,
        states: Sequence[TaskState | TaskStateWord] = (),
        wip_limit: int | None = None,
        **options: Unpack[CommandOptions],
    ) -> Outcome:
        """Add a column at the right end of the board."""
        return self._client.command(
            "board.add_column",
            id,
            AddColumn(column=column, states=tuple(TaskState(each) for each in states), wip_limit=wip_limit),
            **options,
        )

    def map_column(
        self, id: str, *, column: str, states: Sequence[TaskState | TaskStateWord], **options: Unpack[CommandOptions]
    ) -> Outcome:
        """Say which task states a column shows; a state belongs to one column of a board."""
        return self._client.command(
            "board.map_column",
            id,
            MapColumn(column=column, states=tuple(TaskState(each) for each in states)),
            **options,
        )

    def limit_column(
        self, id: str, *, column: str, wip_limit: int | None = None, **options: Unpack[CommandOptions]
    ) -> Outcome:
        """Set or lift (by leaving it out) a column's limit on work in progress."""
        return self._client.command(
            "board.limit_column", id, LimitColumn(column=column, wip_limit=wip_limit), **options
        )

    def reorder(self, id: str, *, columns: Sequence[str], **options: Unpack[CommandOptions]) -> Outcome:
        """Put the columns in another order; names every column once."""
        return self._client.command("board.reorder", id, ReorderColumns(columns=tuple(columns)), **options)

    def archive(self, id: str, **options: Unpack[CommandOptions]) -> Outcome:
        """Close the board; its tasks stay."""
        return self._client.command("board.archive", id, ArchiveBoard(), **options)

    def list(
        self,
        *,
        project_id: str | None = None,
        state: str | None = None,
        order: Order = "asc",
        limit: int | None = None,
        cursor: str | None = None,
        after: After = None,
    ) -> Page[BoardRow]:
        """List boards."""
        return self._client.page(
            BoardRow,
            "board.list",
            order=order,
            limit=limit,
            after=after,
            cursor=cursor,
            project_id=project_id,
            state=state,
        )

    def iterate(
        self,
        *,
        project_id: str | None = None,
        state: str | None = None,
        order: Order = "asc",
        limit: int | None = None,
        after: After = None,
    ) -> Generator[BoardRow, None, None]:
        """List boards: all of them, page by page."""
        return self._client.pages(
            BoardRow, "board.list", order=order, limit=limit, after=after, project_id=project_id, state=state
        )

    def get(
        self, id: str, *, after: After = None, at_seq: int | None = None, at: dt.datetime | None = None
    ) -> BoardRow:
        """Show a board."""
        return self._client.row(BoardRow, "board.get", id, after=after, at_seq=at_seq, at=at)


class Tasks:
    """Commands and queries about tasks."""

    def __init__(self, client: Caller) -> None:
        self._client = client

    def create(
        self,
        *,
        id: str | None = None,
        project_id: str,
        title: str,
        description: str = "",
        board_id: str | None = None,
        priority: int = 2,
        labels: Sequence[str] = (),
        **options: Unpack[CommandOptions],
    ) -> Outcome:
        """Create a task in a project, as a draft."""
        return self._client.command(
            "task.create",
            id or "",
            CreateTask(
                project_id=project_id,
                title=title,
                description=description,
                board_id=board_id,
                priority=priority,
                labels=tuple(labels),
            ),
            **options,
        )

    def edit(
        self,
        id: str,
        *,
        title: str | None = None,
        description: str | None = None,
        priority: int | None = None,
        labels: Sequence[str] | None = None,
        **options: Unpack[CommandOptions],
    ) -> Outcome:
        """Change what a task says; what is left out stays."""
        return self._client.command(
            "task.edit",
            id,
            EditTask(
                title=title,
                description=description,
                priority=priority,
                labels=None if labels is None else tuple(labels),
            ),
            **options,
        )

    def link(self, id: str, *, kind: LinkKind | LinkKindWord, to: str, **options: Unpack[CommandOptions]) -> Outcome:
        """Relate this task to another; `blocks` means this one must be done before the other."""
        return self._client.command("task.link", id, LinkTask(kind=LinkKind(kind), to=to), **options)

    def unlink(self, id: str, *, kind: LinkKind | LinkKindWord, to: str, **options: Unpack[CommandOptions]) -> Outcome:
        """Take a link away."""
        return self._client.command("task.unlink", id, UnlinkTask(kind=LinkKind(kind), to=to), **options)

    def mark_ready(self, id: str, **options: Unpack[CommandOptions]) -> Outcome:
        """Offer the task to whoever may claim it; refused while something open blocks it."""
        return self._client.command("task.mark_ready", id, MarkTaskReady(), **options)

    def claim(
        self, id: str, *, session_id: str | None = None, ttl_seconds: int = 300, **options: Unpack[CommandOptions]
    ) -> Outcome:
        """Take the task for a time, by lease; the answer's event carries the fencing token."""
        return self._client.command(
            "task.claim", id, ClaimTask(session_id=session_id, ttl_seconds=ttl_seconds), **options
        )

    def renew(self, id: str, *, fence: int, ttl_seconds: int = 300, **options: Unpack[CommandOptions]) -> Outcome:
        """Hold the claim longer: the lease runs anew from now."""
        return self._client.command("task.renew", id, RenewTask(fence=fence, ttl_seconds=ttl_seconds), **options)

    def release(self, id: str, *, fence: int, **options: Unpack[CommandOptions]) -> Outcome:
        """Give the claim back; the task is ready again."""
        return self._client.command("task.release", id, ReleaseTask(fence=fence), **options)

    def start(self, id: str, *, fence: int, **options: Unpack[CommandOptions]) -> Outcome:
        """Begin the work."""
        return self._client.command("task.start", id, StartTask(fence=fence), **options)

    def submit(
        self, id: str, *, fence: int, evidence: Sequence[Evidence], **options: Unpack[CommandOptions]
    ) -> Outcome:
        """Hand the work in for review, with evidence."""
        return self._client.command("task.submit", id, SubmitTask(fence=fence, evidence=tuple(evidence)), **options)

    def accept(self, id: str, *, note: str = "", **options: Unpack[CommandOptions]) -> Outcome:
        """Accept the evidence; the task can then be completed."""
        return self._client.command("task.accept", id, AcceptTask(note=note), **options)

    def reject(self, id: str, *, reason: str, **options: Unpack[CommandOptions]) -> Outcome:
        """Send the work back to its holder, with the reason."""
        return self._client.command("task.reject", id, RejectTask(reason=reason), **options)

    def block(self, id: str, *, reason: str, **options: Unpack[CommandOptions]) -> Outcome:
        """Stop the task for an outside reason; a claim on it ends."""
        return self._client.command("task.block", id, BlockTask(reason=reason), **options)

    def unblock(self, id: str, **options: Unpack[CommandOptions]) -> Outcome:
        """Take the block away."""
        return self._client.command("task.unblock", id, UnblockTask(), **options)

    def complete(self, id: str, **options: Unpack[CommandOptions]) -> Outcome:
        """Close an accepted task as done."""
        return self._client.command("task.complete", id, CompleteTask(), **options)

    def cancel(self, id: str, *, reason: str = "", **options: Unpack[CommandOptions]) -> Outcome:
        """Close the task without doing it."""
        return self._client.command("task.cancel", id, CancelTask(reason=reason), **options)

    def reopen(self, id: str, *, reason: str = "", **options: Unpack[CommandOptions]) -> Outcome:
        """Bring a closed task back, as a draft."""
        return self._client.command("task.reopen", id, ReopenTask(reason=reason), **options)

    def list(
        self,
        *,
        project_id: str | None = None,
        board_id: str | None = None,
        state: TaskState | TaskStateWord | None = None,
        holder: str | None = None,
        session_id: str | None = None,
        order: Order = "asc",
        limit: int | None = None,
        cursor: str | None = None,
        after: After = None,
    ) -> Page[TaskRow]:
        """List tasks."""
        return self._client.page(
            TaskRow,
            "task.list",
            order=order,
            limit=limit,
            after=after,
            cursor=cursor,
            project_id=project_id,
            board_id=board_id,
            state=state,
            holder=holder,
            session_id=session_id,
        )

    def iterate(
        self,
        *,
        project_id: str | None = None,
        board_id: str | None = None,
        state: TaskState | TaskStateWord | None = None,
        holder: str | None = None,
        session_id: str | None = None,
        order: Order = "asc",
        limit: int | None = None,
        after: After = None,
    ) -> Generator[TaskRow, None, None]:
        """List tasks: all of them, page by page."""
        return self._client.pages(
            TaskRow,
            "task.list",
            order=order,
            limit=limit,
            after=after,
            project_id=project_id,
            board_id=board_id,
            state=state,
            holder=holder,
            session_id=session_id,
        )

    def get(self, id: str, *, after: After = None, at_seq: int | None = None, at: dt.datetime | None = None) -> TaskRow:
        """Show a task."""
        return self._client.row(TaskRow, "task.get", id, after=after, at_seq=at_seq, at=at)

    def links(
        self,
        id: str,
        *,
        kind: LinkKind | LinkKindWord | None = None,
        order: Order = "asc",
        limit: int | None = None,
        cursor: str | None = None,
        after: After = None,
    ) -> Page[LinkRow]:
        """List a task's links to other tasks."""
        return self._client.page(
            LinkRow, "task.links", id, order=order, limit=limit, after=after, cursor=cursor, kind=kind
        )

    def iterate_links(
        self,
        id: str,
        *,
        kind: LinkKind | LinkKindWord | None = None,
        order: Order = "asc",
        limit: int | None = None,
        after: After = None,
    ) -> Generator[LinkRow, None, None]:
        """List a task's links to other tasks: all of them, page by page."""
        return self._client.pages(LinkRow, "task.links", id, order=order, limit=limit, after=after, kind=kind)


class Sessions:
    """Commands and queries about sessions."""

    def __init__(self, client: Caller) -> None:
        self._client = client

    def spawn(
        self,
        *,
        id: str | None = None,
        blueprint: BlueprintRef,
        project_id: str | None = None,
        parent_id: str | None = None,
        task_id: str | None = None,
        purpose: str = "",
        limits: SessionLimits | None = None,
        labels: Sequence[str] = (),
        **options: Unpack[CommandOptions],
    ) -> Outcome:
        """Ask for a session to run a blueprint, at the root of a new lineage or under a parent."""
        return self._client.command(
            "session.spawn",
            id or "",
            SpawnSession(
                blueprint=blueprint,
                project_id=project_id,
                parent_id=parent_id,
                task_id=task_id,
                purpose=purpose,
                limits=limits,
                labels=tuple(labels),
            ),
            **options,
        )

    def start(self, id: str, **options: Unpack[CommandOptions]) -> Outcome:
        """Begin to run."""
        return self._client.command("session.start", id, StartSession(), **options)

    def pause(self, id: str, *, reason: str = "", **options: Unpack[CommandOptions]) -> Outcome:
        """Hold the session; it may resume."""
        return self._client.command("session.pause", id, PauseSession(reason=reason), **options)

    def resume(self, id: str, **options: Unpack[CommandOptions]) -> Outcome:
        """Run on after a pause."""
        return self._client.command("session.resume", id, ResumeSession(), **options)

    def complete(self, id: str, *, result: str = "", **options: Unpack[CommandOptions]) -> Outcome:
        """End well; refused while a child of it is live."""
        return self._client.command("session.complete", id, CompleteSession(result=result), **options)

    def fail(self, id: str, *, failure: str, detail: str = "", **options: Unpack[CommandOptions]) -> Outcome:
        """End badly, with a class of failure; live descendants are canceled."""
        return self._client.command("session.fail", id, FailSession(failure=failure, detail=detail), **options)

    def cancel(self, id: str, *, reason: str = "", **options: Unpack[CommandOptions]) -> Outcome:
        """End the session and its whole live subtree."""
        return self._client.command("session.cancel", id, CancelSession(reason=reason), **options)

    def issue_token(self, id: str, *, ttl_seconds: int = 900, **options: Unpack[CommandOptions]) -> IssuedToken:
        """Record that a short-lived token was made for the agent that runs this session."""
        return cast(
            IssuedToken,
            self._client.command("session.issue_token", id, IssueSessionToken(ttl_seconds=ttl_seconds), **options),
        )

    def revoke_tokens(self, id: str, *, reason: str = "", **options: Unpack[CommandOptions]) -> Outcome:
        """Make every token invalid that was issued to the session so far; it goes on, and may be given a new one."""
        return self._client.command("session.revoke_tokens", id, RevokeSessionTokens(reason=reason), **options)

    def list(
        self,
        *,
        project_id: str | None = None,
        state: SessionState | SessionStateWord | None = None,
        root_id: str | None = None,
        parent_id: str | None = None,
        task_id: str | None = None,
        order: Order = "asc",
        limit: int | None = None,
        cursor: str | None = None,
        after: After = None,
    ) -> Page[SessionRow]:
        """List sessions."""
        return self._client.page(
            SessionRow,
            "session.list",
            order=order,
            limit=limit,
            after=after,
            cursor=cursor,
            project_id=project_id,
            state=state,
            root_id=root_id,
            parent_id=parent_id,
            task_id=task_id,
        )

    def iterate(
        self,
        *,
        project_id: str | None = None,
        state: SessionState | SessionStateWord | None = None,
        root_id: str | None = None,
        parent_id: str | None = None,
        task_id: str | None = None,
        order: Order = "asc",
        limit: int | None = None,
        after: After = None,
    ) -> Generator[SessionRow, None, None]:
        """List sessions: all of them, page by page."""
        return self._client.pages(
            SessionRow,
            "session.list",
            order=order,
            limit=limit,
            after=after,
            project_id=project_id,
            state=state,
            root_id=root_id,
            parent_id=parent_id,
            task_id=task_id,
        )

    def get(
        self, id: str, *, after: After = None, at_seq: int | None = None, at: dt.datetime | None = None
    ) -> SessionRow:
        """Show a session."""
        return self._client.row(SessionRow, "session.get", id, after=after, at_seq=at_seq, at=at)

    def ancestors(
        self, id: str, *, order: Order = "asc", limit: int | None = None, cursor: str | None = None, after: After = None
    ) -> Page[SessionRow]:
        """List a session's ancestors, root first."""
        return self._client.page(
            SessionRow, "session.ancestors", id, order=order, limit=limit, after=after, cursor=cursor
        )

    def iterate_ancestors(
        self, id: str, *, order: Order = "asc", limit: int | None = None, after: After = None
    ) -> Generator[SessionRow, None, None]:
        """List a session's ancestors, root first: all of them, page by page."""
        return self._client.pages(SessionRow, "session.ancestors", id, order=order, limit=limit, after=after)

    def descendants(
        self,
        id: str,
        *,
        state: SessionState | SessionStateWord | None = None,
        order: Order = "asc",
        limit: int | None = None,
        cursor: str | None = None,
        after: After = None,
    ) -> Page[SessionRow]:
        """List a session's descendants."""
        return self._client.page(
            SessionRow, "session.descendants", id, order=order, limit=limit, after=after, cursor=cursor, state=state
        )

    def iterate_descendants(
        self,
        id: str,
        *,
        state: SessionState | SessionStateWord | None = None,
        order: Order = "asc",
        limit: int | None = None,
        after: After = None,
    ) -> Generator[SessionRow, None, None]:
        """List a session's descendants: all of them, page by page."""
        return self._client.pages(
            SessionRow, "session.descendants", id, order=order, limit=limit, after=after, state=state
        )


class Channels:
    """Commands and queries about channels."""

    def __init__(self, client: Caller) -> None:
        self._client = client

    def open(
        self,
        *,
        id: str | None = None,
        session_id: str,
        scope: Scope | ScopeWord,
        name: str,
        **options: Unpack[CommandOptions],
    ) -> Outcome:
        """Open a channel anchored to a session, for those its scope names."""
        return self._client.command(
            "channel.open", id or "", OpenChannel(session_id=session_id, scope=Scope(scope), name=name), **options
        )

    def post(
        self,
        id: str,
        *,
        kind: str,
        body: str,
        reply_to: int | None = None,
        reply_by_seconds: int | None = None,
        **options: Unpack[CommandOptions],
    ) -> Outcome:
        """Say something in the channel; `reply_by_seconds` asks for an answer in that time."""
        return self._client.command(
            "channel.post",
            id,
            PostMessage(kind=kind, body=body, reply_to=reply_to, reply_by_seconds=reply_by_seconds),
            **options,
        )

    def ack(self, id: str, *, cursor: int, **options: Unpack[CommandOptions]) -> Outcome:
        """Say up to which message the caller has read."""
        return self._client.command("channel.ack", id, AckMessages(cursor=cursor), **options)

    def close(self, id: str, *, reason: str = "", **options: Unpack[CommandOptions]) -> Outcome:
        """Close the channel; it stays readable."""
        return self._client.command("channel.close", id, CloseChannel(reason=reason), **options)

    def list(
        self,
        *,
        session_id: str | None = None,
        state: str | None = None,
        scope: Scope | ScopeWord | None = None,
        order: Order = "asc",
        limit: int | None = None,
        cursor: str | None = None,
        after: After = None,
    ) -> Page[ChannelRow]:
        """List channels."""
        return self._client.page(
            ChannelRow,
            "channel.list",
            order=order,
            limit=limit,
            after=after,
            cursor=cursor,
            session_id=session_id,
            state=state,
            scope=scope,
        )

    def iterate(
        self,
        *,
        session_id: str | None = None,
        state: str | None = None,
        scope: Scope | ScopeWord | None = None,
        order: Order = "asc",
        limit: int | None = None,
        after: After = None,
    ) -> Generator[ChannelRow, None, None]:
        """List channels: all of them, page by page."""
        return self._client.pages(
            ChannelRow,
            "channel.list",
            order=order,
            limit=limit,
            after=after,
            session_id=session_id,
            state=state,
            scope=scope,
        )

    def get(
        self, id: str, *, after: After = None, at_seq: int | None = None, at: dt.datetime | None = None
    ) -> ChannelRow:
        """Show a channel."""
        return self._client.row(ChannelRow, "channel.get", id, after=after, at_seq=at_seq, at=at)

    def messages(
        self,
        id: str,
        *,
        kind: str | None = None,
        sender: str | None = None,
        order: Order = "asc",
        limit: int | None = None,
        cursor: str | None = None,
        after: After = None,
    ) -> Page[MessageRow]:
        """List a channel's messages in order."""
        return self._client.page(
            MessageRow,
            "channel.messages",
            id,
            order=order,
            limit=limit,
            after=after,
            cursor=cursor,
            kind=kind,
            sender=sender,
        )

    def iterate_messages(
        self,
        id: str,
        *,
        kind: str | None = None,
        sender: str | None = None,
        order: Order = "asc",
        limit: int | None = None,
        after: After = None,
    ) -> Generator[MessageRow, None, None]:
        """List a channel's messages in order: all of them, page by page."""
        return self._client.pages(
            MessageRow, "channel.messages", id, order=order, limit=limit, after=after, kind=kind, sender=sender
        )

    def cursors(
        self,
        id: str,
        *,
        reader: str | None = None,
        order: Order = "asc",
        limit: int | None = None,
        cursor: str | None = None,
        after: After = None,
    ) -> Page[CursorRow]:
        """List how far each reader has read."""
        return self._client.page(
            CursorRow, "channel.cursors", id, order=order, limit=limit, after=after, cursor=cursor, reader=reader
        )

    def iterate_cursors(
        self, id: str, *, reader: str | None = None, order: Order = "asc", limit: int | None = None, after: After = None
    ) -> Generator[CursorRow, None, None]:
        """List how far each reader has read: all of them, page by page."""
        return self._client.pages(
            CursorRow, "channel.cursors", id, order=order, limit=limit, after=after, reader=reader
        )


class Webhooks:
    """Commands and queries about webhooks."""

    def __init__(self, client: Caller) -> None:
        self._client = client

    def create(
        self,
        *,
        id: str | None = None,
        endpoint: str,
        event_types: Sequence[str] = (),
        aggregates: Sequence[str] = (),
        after_seq: int | None = None,
        **options: Unpack[CommandOptions],
    ) -> IssuedSecret:
        """Deliver the workspace's events to an endpoint: from now on, or after event `after_seq` (0: from the start)."""
        return cast(
            IssuedSecret,
            self._client.command(
                "webhook.create",
                id or "",
                CreateWebhook(
                    endpoint=endpoint, event_types=tuple(event_types), aggregates=tuple(aggregates), after_seq=after_seq
                ),
                **options,
            ),
        )

    def configure(
        self,
        id: str,
        *,
        endpoint: str | None = None,
        event_types: Sequence[str] | None = None,
        aggregates: Sequence[str] | None = None,
        **options: Unpack[CommandOptions],
    ) -> Outcome:
        """Change a webhook's endpoint or its selection of events; what is left out stays."""
        return self._client.command(
            "webhook.configure",
            id,
            ConfigureWebhook(
                endpoint=endpoint,
                event_types=None if event_types is None else tuple(event_types),
                aggregates=None if aggregates is None else tuple(aggregates),
            ),
            **options,
        )

    def pause(self, id: str, *, reason: str = "", **options: Unpack[CommandOptions]) -> Outcome:
        """Deliver nothing more until the webhook is resumed. Nothing is lost meanwhile."""
        return self._client.command("webhook.pause", id, PauseWebhook(reason=reason), **options)

    def resume(self, id: str, *, after_seq: int | None = None, **options: Unpack[CommandOptions]) -> Outcome:
        """Deliver again: from where it stopped, or everything after event `after_seq`; then nothing is parked any more."""
        return self._client.command("webhook.resume", id, ResumeWebhook(after_seq=after_seq), **options)

    def remove(self, id: str, **options: Unpack[CommandOptions]) -> Outcome:
        """End a webhook for good."""
        return self._client.command("webhook.remove", id, RemoveWebhook(), **options)

    def rotate_secret(self, id: str, **options: Unpack[CommandOptions]) -> IssuedSecret:
        """Sign with a new secret. For 24 hours the old one signs, too, so that the receiver can change over."""
        return cast(IssuedSecret, self._client.command("webhook.rotate_secret", id, RotateWebhookSecret(), **options))

    def park(
        self, id: str, *, key: str, seq: int, reason: str, attempts: int, **options: Unpack[CommandOptions]
    ) -> Outcome:
        """Record that the events of one aggregate wait, after too many failures to deliver the one at `seq`."""
        return self._client.command(
            "webhook.park", id, ParkKey(key=key, seq=seq, reason=reason, attempts=attempts), **options
        )

    def requeue(self, id: str, *, key: str | None = None, **options: Unpack[CommandOptions]) -> Outcome:
        """Deliver what is parked: of one key, or of all. In order, from the event that failed."""
        return self._client.command("webhook.requeue", id, RequeueKeys(key=key), **options)

    def clear(self, id: str, *, key: str, **options: Unpack[CommandOptions]) -> Outcome:
        """Record that a key that was requeued has caught up."""
        return self._client.command("webhook.clear", id, ClearKey(key=key), **options)

    def list(
        self,
        *,
        state: WebhookState | WebhookStateWord | None = None,
        order: Order = "asc",
        limit: int | None = None,
        cursor: str | None = None,
        after: After = None,
    ) -> Page[WebhookRow]:
        """List webhooks."""
        return self._client.page(
            WebhookRow, "webhook.list", order=order, limit=limit, after=after, cursor=cursor, state=state
        )

    def iterate(
        self,
        *,
        state: WebhookState | WebhookStateWord | None = None,
        order: Order = "asc",
        limit: int | None = None,
        after: After = None,
    ) -> Generator[WebhookRow, None, None]:
        """List webhooks: all of them, page by page."""
        return self._client.pages(WebhookRow, "webhook.list", order=order, limit=limit, after=after, state=state)

    def get(
        self, id: str, *, after: After = None, at_seq: int | None = None, at: dt.datetime | None = None
    ) -> WebhookRow:
        """Show a webhook."""
        return self._client.row(WebhookRow, "webhook.get", id, after=after, at_seq=at_seq, at=at)

    def parked(
        self,
        id: str,
        *,
        state: str | None = None,
        order: Order = "asc",
        limit: int | None = None,
        cursor: str | None = None,
        after: After = None,
    ) -> Page[ParkedKeyRow]:
        """List what a webhook has parked."""
        return self._client.page(
            ParkedKeyRow, "webhook.parked", id, order=order, limit=limit, after=after, cursor=cursor, state=state
        )

    def iterate_parked(
        self, id: str, *, state: str | None = None, order: Order = "asc", limit: int | None = None, after: After = None
    ) -> Generator[ParkedKeyRow, None, None]:
        """List what a webhook has parked: all of them, page by page."""
        return self._client.pages(
            ParkedKeyRow, "webhook.parked", id, order=order, limit=limit, after=after, state=state
        )

    def deliveries(
        self, id: str, *, order: Order = "asc", limit: int | None = None, cursor: str | None = None, after: After = None
    ) -> Page[DeliveryRow]:
        """List how far a webhook has delivered."""
        return self._client.page(
            DeliveryRow, "webhook.deliveries", id, order=order, limit=limit, after=after, cursor=cursor
        )

    def iterate_deliveries(
        self, id: str, *, order: Order = "asc", limit: int | None = None, after: After = None
    ) -> Generator[DeliveryRow, None, None]:
        """List how far a webhook has delivered: all of them, page by page."""
        return self._client.pages(DeliveryRow, "webhook.deliveries", id, order=order, limit=limit, after=after)

    def waiting(
        self, id: str, *, order: Order = "asc", limit: int | None = None, cursor: str | None = None, after: After = None
    ) -> Page[WaitingKeyRow]:
        """List the aggregates whose events wait because the last attempt failed."""
        return self._client.page(
            WaitingKeyRow, "webhook.waiting", id, order=order, limit=limit, after=after, cursor=cursor
        )

    def iterate_waiting(
        self, id: str, *, order: Order = "asc", limit: int | None = None, after: After = None
    ) -> Generator[WaitingKeyRow, None, None]:
        """List the aggregates whose events wait because the last attempt failed: all of them, page by page."""
        return self._client.pages(WaitingKeyRow, "webhook.waiting", id, order=order, limit=limit, after=after)


class Sweeps:
    """Commands and queries about sweeps."""

    def __init__(self, client: Caller) -> None:
        self._client = client

    def list(
        self,
        *,
        kind: SweepKind | SweepKindWord | None = None,
        scope: str | None = None,
        state: str | None = None,
        order: Order = "asc",
        limit: int | None = None,
        cursor: str | None = None,
        after: After = None,
    ) -> Page[SweepRow]:
        """List sweeps."""
        return self._client.page(
            SweepRow,
            "sweep.list",
            order=order,
            limit=limit,
            after=after,
            cursor=cursor,
            kind=kind,
            scope=scope,
            state=state,
        )

    def iterate(
        self,
        *,
        kind: SweepKind | SweepKindWord | None = None,
        scope: str | None = None,
        state: str | None = None,
        order: Order = "asc",
        limit: int | None = None,
        after: After = None,
    ) -> Generator[SweepRow, None, None]:
        """List sweeps: all of them, page by page."""
        return self._client.pages(
            SweepRow, "sweep.list", order=order, limit=limit, after=after, kind=kind, scope=scope, state=state
        )

    def get(
        self, id: str, *, after: After = None, at_seq: int | None = None, at: dt.datetime | None = None
    ) -> SweepRow:
        """Show a sweep."""
        return self._client.row(SweepRow, "sweep.get", id, after=after, at_seq=at_seq, at=at)


class Log:
    """Commands and queries about log."""

    def __init__(self, client: Caller) -> None:
        self._client = client

    def raise_feature_level(self, *, level: int, **options: Unpack[CommandOptions]) -> Outcome:
        """Let the log hold what came with a later feature level: builds of earlier levels halt from here on."""
        return self._client.command("log.raise_feature_level", LOG, RaiseFeatureLevel(level=level), **options)

    def set_limits(
        self,
        *,
        lineage_live_max: int | None = None,
        outcome_days: int | None = None,
        sweep_facts: int | None = None,
        **options: Unpack[CommandOptions],
    ) -> Outcome:
        """Change limits of the whole log; what is left out stays as it is."""
        return self._client.command(
            "log.set_limits",
            LOG,
            SetLimits(lineage_live_max=lineage_live_max, outcome_days=outcome_days, sweep_facts=sweep_facts),
            **options,
        )


class Commands:
    """Commands and queries about commands."""

    def __init__(self, client: Caller) -> None:
        self._client = client

    def list(
        self,
        *,
        status: Status | StatusWord | None = None,
        code: Code | CodeWord | None = None,
        actor: str | None = None,
        idempotency_key: str | None = None,
        target: str | None = None,
        order: Order = "asc",
        limit: int | None = None,
        cursor: str | None = None,
        after: After = None,
    ) -> Page[CommandRow]:
        """List commands."""
        return self._client.page(
            CommandRow,
            "command.list",
            order=order,
            limit=limit,
            after=after,
            cursor=cursor,
            status=status,
            code=code,
            actor=actor,
            idempotency_key=idempotency_key,
            target=target,
        )

    def iterate(
        self,
        *,
        status: Status | StatusWord | None = None,
        code: Code | CodeWord | None = None,
        actor: str | None = None,
        idempotency_key: str | None = None,
        target: str | None = None,
        order: Order = "asc",
        limit: int | None = None,
        after: After = None,
    ) -> Generator[CommandRow, None, None]:
        """List commands: all of them, page by page."""
        return self._client.pages(
            CommandRow,
            "command.list",
            order=order,
            limit=limit,
            after=after,
            status=status,
            code=code,
            actor=actor,
            idempotency_key=idempotency_key,
            target=target,
        )

    def get(
        self, id: str, *, after: After = None, at_seq: int | None = None, at: dt.datetime | None = None
    ) -> CommandRow:
        """Show a command."""
        return self._client.row(CommandRow, "command.get", id, after=after, at_seq=at_seq, at=at)


class History:
    """Commands and queries about history."""

    def __init__(self, client: Caller) -> None:
        self._client = client

    def list(
        self,
        *,
        event_type: str | None = None,
        aggregate: str | None = None,
        aggregate_id: str | None = None,
        actor: str | None = None,
        order: Order = "asc",
        limit: int | None = None,
        cursor: str | None = None,
        after: After = None,
    ) -> Page[EventRow]:
        """List recorded events."""
        return self._client.page(
            EventRow,
            "event.list",
            order=order,
            limit=limit,
            after=after,
            cursor=cursor,
            event_type=event_type,
            aggregate=aggregate,
            aggregate_id=aggregate_id,
            actor=actor,
        )

    def iterate(
        self,
        *,
        event_type: str | None = None,
        aggregate: str | None = None,
        aggregate_id: str | None = None,
        actor: str | None = None,
        order: Order = "asc",
        limit: int | None = None,
        after: After = None,
    ) -> Generator[EventRow, None, None]:
        """List recorded events: all of them, page by page."""
        return self._client.pages(
            EventRow,
            "event.list",
            order=order,
            limit=limit,
            after=after,
            event_type=event_type,
            aggregate=aggregate,
            aggregate_id=aggregate_id,
            actor=actor,
        )


class Projections:
    """Commands and queries about projections."""

    def __init__(self, client: Caller) -> None:
        self._client = client

    def list(
        self, *, order: Order = "asc", limit: int | None = None, cursor: str | None = None, after: After = None
    ) -> Page[ProjectionRow]:
        """List projections and their lag."""
        return self._client.page(ProjectionRow, "projection.list", order=order, limit=limit, after=after, cursor=cursor)

    def iterate(
        self, *, order: Order = "asc", limit: int | None = None, after: After = None
    ) -> Generator[ProjectionRow, None, None]:
        """List projections and their lag: all of them, page by page."""
        return self._client.pages(ProjectionRow, "projection.list", order=order, limit=limit, after=after)


class Nouns:
    """Every noun, as an attribute of the client."""

    def __init__(self, client: Caller) -> None:
        self.workspaces = Workspaces(client)
        self.principals = Principals(client)
        self.projects = Projects(client)
        self.boards = Boards(client)
        self.tasks = Tasks(client)
        self.sessions = Sessions(client)
        self.channels = Channels(client)
        self.webhooks = Webhooks(client)
        self.sweeps = Sweeps(client)
        self.log = Log(client)
        self.commands = Commands(client)
        self.history = History(client)
        self.projections = Projections(client)
