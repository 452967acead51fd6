"""Everything one shard remembers: its workspaces, each with the states of its aggregates and what derives from them.

A `World` is changed by `evolve.apply` alone, one recorded fact at a time. To load a snapshot: `add_space` for each
workspace, fill `space.states`, then `indexes.rebuild_indexes(space)`.
"""

from typing import Any, NamedTuple

import msgspec
from mpschema.base import Event
from mpschema.levels import FIRST_LEVEL
from mpschema.rejections import Rejection
from mpschema.task import TaskState

from mpkernel.core.deadlines import Deadlines
from mpkernel.core.states import STATES, Board, Channel, Principal, Project, Session, Task, Webhook, Workspace


class Fact(msgspec.Struct, frozen=True, gc=False):
    """What a decision says shall be recorded, and of which aggregate."""

    aggregate: str
    aggregate_id: str
    event: Event

    @property
    def about(self) -> tuple[str, str]:
        """The aggregate and its id."""
        return self.aggregate, self.aggregate_id


class Try(NamedTuple):
    """One start of a kernel was about to decide this line by itself, and no outcome came of it."""

    position: int
    line: int
    process: str


Decision = tuple[Fact, ...] | Rejection
"""The answer to a command: facts to record, or why not."""


class Indexes(msgspec.Struct):
    """What derives from a workspace's states, kept beside them so that a decision needs no search."""

    closed: Rejection | None = None
    """The answer to almost every command while the workspace is frozen or archived."""
    owners: set[str] = msgspec.field(default_factory=set)
    keys: dict[str, str] = msgspec.field(default_factory=dict)
    """API key to its principal, of every key ever issued."""
    project_names: dict[str, set[str]] = msgspec.field(default_factory=dict)
    """Folded name to the open projects that have it: several, where they were named before names were folded."""
    live_in_project: dict[str, int] = msgspec.field(default_factory=dict)
    """Project to how many of its sessions live."""
    tasks_on_board: dict[str, dict[TaskState, int]] = msgspec.field(default_factory=dict)
    """Board to how many of its tasks are in each state."""
    blockers: dict[str, set[str]] = msgspec.field(default_factory=dict)
    """Task to the open tasks that block it."""
    claims: dict[str, set[str]] = msgspec.field(default_factory=dict)
    """Session to the tasks whose lease it holds."""
    children: dict[str, int] = msgspec.field(default_factory=dict)
    """Session to how many children it ever spawned."""
    live_children: dict[str, set[str]] = msgspec.field(default_factory=dict)
    live_in_lineage: dict[str, int] = msgspec.field(default_factory=dict)
    """Root to how many sessions of its lineage live."""


class Space:
    """Everything of one workspace."""

    __slots__ = (
        "boards",
        "channels",
        "deadlines",
        "id",
        "index",
        "principals",
        "projects",
        "sessions",
        "states",
        "tasks",
        "webhooks",
    )

    def __init__(self, workspace_id: str, deadlines: Deadlines) -> None:
        self.id = workspace_id
        self.deadlines = deadlines
        """Shared by all workspaces of the world."""
        states: dict[str, dict[str, Any]] = {aggregate: {} for aggregate in STATES}
        self.states = states
        """Every state by the aggregate's name; below, the same dictionaries by names of their own."""
        self.principals: dict[str, Principal] = states["principal"]
        self.projects: dict[str, Project] = states["project"]
        self.boards: dict[str, Board] = states["board"]
        self.tasks: dict[str, Task] = states["task"]
        self.sessions: dict[str, Session] = states["session"]
        self.channels: dict[str, Channel] = states["channel"]
        self.webhooks: dict[str, Webhook] = states["webhook"]
        self.index = Indexes()

    @property
    def workspace(self) -> Workspace:
        """The workspace's own state."""
        workspace: Workspace = self.states["workspace"][self.id]
        return workspace


class World:
    """Everything of one shard, at one position of its log."""

    __slots__ = (
        "deadlines",
        "epoch",
        "feature_level",
        "fence_floor",
        "log_version",
        "operators",
        "seq",
        "time_ms",
        "tries",
        "unmoved_elections",
        "workspaces",
    )

    def __init__(self, operators: frozenset[str] = frozenset()) -> None:
        self.seq = 0
        """Of the last event."""
        self.epoch = 0
        self.time_ms = 0
        """Of the last event, in milliseconds."""
        self.fence_floor = 0
        """Fencing tokens are above it: a log that was put back must not give out again what the lost part gave."""
        self.feature_level = FIRST_LEVEL
        """What may be recorded: see `mpschema.levels`."""
        self.log_version = 0
        """How many events the log has about itself."""
        self.unmoved_elections = 0
        """Elections since a command was consumed, counted from feature level 3."""
        self.tries: tuple[Try, ...] = ()
        """Of the line that is next, without an outcome so far."""
        self.operators = operators
        """Principals with an operator's rights in every workspace; they alone create workspaces."""
        self.workspaces: dict[str, Space] = {}
        self.deadlines = Deadlines()

    def add_space(self, workspace_id: str) -> Space:
        """Make room for a workspace that is not there yet."""
        space = self.workspaces[workspace_id] = Space(workspace_id, self.deadlines)
        return space

    def version_of(self, workspace_id: str, aggregate: str, aggregate_id: str) -> int:
        """The version of an aggregate's last event; 0 when there is none.

        A command and a timer have one event each, so they never have a version before it.
        """
        space = self.workspaces.get(workspace_id)
        states = None if space is None else space.states.get(aggregate)
        if states is None:
            return self.log_version if aggregate == "log" else 0
        state = states.get(aggregate_id)
        return 0 if state is None else state.version


PLACE = tuple(name for name in World.__slots__ if name not in ("workspaces", "deadlines"))
"""What a world knows beside its workspaces and what derives from them: a snapshot keeps it, an undo puts it back."""
