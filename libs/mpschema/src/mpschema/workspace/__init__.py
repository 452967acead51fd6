"""The words about a workspace: the tenant, and the boundary of keys, quotas and names."""

from mpschema.base import Command, Event, Id, Name, Reason
from mpschema.ending import Cancel, CancelSessions
from mpschema.principal import RoleBound
from mpschema.vocabulary import WORKSPACE_ROUTE, Vocabulary, command


class CreateWorkspace(Command, frozen=True):
    """Create a workspace; whoever creates it becomes its owner."""

    name: Name


class RenameWorkspace(Command, frozen=True):
    """Give the workspace another name."""

    name: Name


class FreezeWorkspace(Command, frozen=True):
    """Stop every change in the workspace until it is thawed."""

    reason: Reason


class ThawWorkspace(Command, frozen=True):
    """Let a frozen workspace change again."""


class ArchiveWorkspace(Command, frozen=True):
    """Close the workspace for good; refused while a session in it runs, unless those are to be canceled."""

    cancel: Cancel = CancelSessions.NONE


class WorkspaceCreated(Event, frozen=True):
    name: Name
    owner: Id


class WorkspaceRenamed(Event, frozen=True):
    name: Name


class WorkspaceFrozen(Event, frozen=True):
    reason: Reason


class WorkspaceThawed(Event, frozen=True):
    pass


class WorkspaceArchived(Event, frozen=True):
    pass


VOCABULARY = Vocabulary(
    name="workspace",
    plural="workspaces",
    projection="directory",
    about="Workspaces: make one, rename, freeze, archive it.",
    collection="/v1/workspaces",
    member=WORKSPACE_ROUTE,
    commands=(
        command("workspace.create", CreateWorkspace, WorkspaceCreated, RoleBound, creates=True),
        command("workspace.rename", RenameWorkspace, WorkspaceRenamed),
        command("workspace.freeze", FreezeWorkspace, WorkspaceFrozen),
        command("workspace.thaw", ThawWorkspace, WorkspaceThawed),
        command("workspace.archive", ArchiveWorkspace, WorkspaceArchived),
    ),
    events=(
        WorkspaceCreated,
        WorkspaceRenamed,
        WorkspaceFrozen,
        WorkspaceThawed,
        WorkspaceArchived,
    ),
)
