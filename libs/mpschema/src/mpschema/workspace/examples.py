"""Examples of the commands, events and rows about a workspace: one of each."""

import msgspec

from mpschema import story
from mpschema.base import Command, Event
from mpschema.workspace import (
    ArchiveWorkspace,
    CreateWorkspace,
    FreezeWorkspace,
    RenameWorkspace,
    ThawWorkspace,
    WorkspaceArchived,
    WorkspaceCreated,
    WorkspaceFrozen,
    WorkspaceRenamed,
    WorkspaceThawed,
)
from mpschema.workspace.rows import WorkspaceRow

ID = story.WORKSPACE
COMMANDS: tuple[Command, ...] = (
    CreateWorkspace(name="Acme"),
    RenameWorkspace(name="Acme Labs"),
    FreezeWorkspace(reason="an agent pushes to main"),
    ThawWorkspace(),
    ArchiveWorkspace(),
)
EVENTS: tuple[Event, ...] = (
    WorkspaceCreated(name="Acme", owner=story.OWNER),
    WorkspaceRenamed(name="Acme Labs"),
    WorkspaceFrozen(reason="an agent pushes to main"),
    WorkspaceThawed(),
    WorkspaceArchived(),
)
ROWS: tuple[msgspec.Struct, ...] = (WorkspaceRow(**story.CHANGED, name="Acme", state="active", owner=story.OWNER),)
