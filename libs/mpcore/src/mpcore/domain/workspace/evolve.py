"""The events of a workspace, as they change its state."""

from mpschema.envelope import EventRecord
from mpschema.workspace import (
    WorkspaceArchived,
    WorkspaceCreated,
    WorkspaceFrozen,
    WorkspaceRenamed,
    WorkspaceThawed,
)
from msgspec.structs import replace

from mpcore.domain.workspace.state import Workspace, WorkspaceState
from mpcore.state.rules import Evolves

ACTIVE, FROZEN, ARCHIVED = WorkspaceState.ACTIVE, WorkspaceState.FROZEN, WorkspaceState.ARCHIVED


def _created(_: None, __: WorkspaceCreated, record: EventRecord) -> Workspace:
    return Workspace(record.aggregate_id, record.version, ACTIVE)


def _renamed(workspace: Workspace, _: WorkspaceRenamed, record: EventRecord) -> Workspace:
    return replace(workspace, version=record.version)


def _frozen(workspace: Workspace, _: WorkspaceFrozen, record: EventRecord) -> Workspace:
    return replace(workspace, version=record.version, state=FROZEN)


def _thawed(workspace: Workspace, _: WorkspaceThawed, record: EventRecord) -> Workspace:
    return replace(workspace, version=record.version, state=ACTIVE)


def _archived(workspace: Workspace, _: WorkspaceArchived, record: EventRecord) -> Workspace:
    return replace(workspace, version=record.version, state=ARCHIVED)


EVOLVE: Evolves = {
    WorkspaceCreated: _created,
    WorkspaceRenamed: _renamed,
    WorkspaceFrozen: _frozen,
    WorkspaceThawed: _thawed,
    WorkspaceArchived: _archived,
}
