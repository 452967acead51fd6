"""What is remembered of each aggregate: exactly what later decisions need, and no more.

What a task says, what a message contained, who spawned what for which purpose: read models keep that. States are frozen
and encode as arrays, so that a snapshot is small; `version` is the aggregate's position in its own history.
"""

import enum

import msgspec
from mpschema.board import Column
from mpschema.channel import Scope
from mpschema.principal import Role
from mpschema.session import SessionState
from mpschema.task import LinkKind, TaskState
from mpschema.webhook import WebhookState


class WorkspaceState(enum.StrEnum):
    """Where a workspace is on its way."""

    ACTIVE = "active"
    FROZEN = "frozen"
    ARCHIVED = "archived"


class ProjectState(enum.StrEnum):
    """Whether a project takes new work."""

    OPEN = "open"
    ARCHIVED = "archived"


class BoardState(enum.StrEnum):
    """Whether a board limits its tasks."""

    OPEN = "open"
    ARCHIVED = "archived"


class ChannelState(enum.StrEnum):
    """Whether a channel takes messages."""

    OPEN = "open"
    CLOSED = "closed"


class Workspace(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """The tenant."""

    id: str
    version: int
    state: WorkspaceState


class Principal(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """Who may act. `roles` are sorted, the highest first; `keys` says of each key ever issued whether it is valid."""

    id: str
    version: int
    roles: tuple[Role, ...] = ()
    keys: dict[str, bool] = {}


class Project(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A body of work."""

    id: str
    version: int
    name: str
    state: ProjectState


class Board(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """Columns over task states."""

    id: str
    version: int
    project_id: str
    state: BoardState
    columns: tuple[Column, ...]


class Task(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A piece of work.

    A claim is live while `holder` is set; its lease runs while `expires_at_ms` is not 0. `offered` says whether the
    task had been marked ready since it was last a fresh draft. `fence` is the newest fencing token given out.
    """

    id: str
    version: int
    project_id: str
    board_id: str | None
    state: TaskState
    offered: bool = False
    links: tuple[tuple[LinkKind, str], ...] = ()
    fence: int = 0
    holder: str = ""
    session_id: str | None = None
    ttl_seconds: int = 0
    expires_at_ms: int = 0
    accepted: bool = False


class Session(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A node of a lineage tree. `lineage` names the ancestors, root first, parent last."""

    id: str
    version: int
    state: SessionState
    lineage: tuple[str, ...]
    project_id: str | None
    max_depth: int
    max_children: int

    @property
    def parent_id(self) -> str | None:
        """The session that it was spawned under; None at a root."""
        return self.lineage[-1] if self.lineage else None

    @property
    def root_id(self) -> str:
        """The root of its lineage: itself, where it has no parent."""
        return self.lineage[0] if self.lineage else self.id

    @property
    def depth(self) -> int:
        """How far below the root."""
        return len(self.lineage)


class Channel(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """An ordered conversation, without its words.

    `messages` counts them; `awaited` maps a message that asked for an answer to the time by which it wants one;
    `cursors` maps a reader to the last message it has acknowledged.
    """

    id: str
    version: int
    session_id: str
    scope: Scope
    state: ChannelState
    messages: int = 0
    awaited: dict[int, int] = {}
    cursors: dict[str, int] = {}


class Webhook(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """Where events are told. `parked` says of each key whose events wait whether it is still to be requeued.

    `generation` counts the secrets it has had.
    """

    id: str
    version: int
    state: WebhookState
    generation: int = 1
    parked: dict[str, bool] = {}


State = Workspace | Principal | Project | Board | Task | Session | Channel | Webhook

STATES: dict[str, type[State]] = {
    "workspace": Workspace,
    "principal": Principal,
    "project": Project,
    "board": Board,
    "task": Task,
    "session": Session,
    "channel": Channel,
    "webhook": Webhook,
}
"""The state of each aggregate, by the aggregate's name. The one table: what is not in it is not remembered."""
