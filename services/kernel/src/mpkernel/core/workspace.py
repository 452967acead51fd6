"""The tenant: active, frozen while nothing may change, archived for good.

It is not archived while a session in it lives: nobody could end one any more. Authority can be taken away from a closed
workspace, and its webhooks removed; what happened before is still told.
"""

from collections.abc import Mapping

from mpschema.base import Event
from mpschema.envelope import EventRecord
from mpschema.levels import CHILDREN_LEVEL
from mpschema.principal import RevokeKey, Role, RoleBound, UnbindRole
from mpschema.rejections import Code, Rejection
from mpschema.session import RevokeSessionTokens
from mpschema.system import SYSTEM_WORKSPACE
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
from msgspec.structs import replace

from mpkernel.core.rules import AccessRequest, Evolve, Rule, Rules
from mpkernel.core.states import Workspace, WorkspaceState
from mpkernel.core.world import Decision, Fact

ACTIVE, FROZEN, ARCHIVED = WorkspaceState.ACTIVE, WorkspaceState.FROZEN, WorkspaceState.ARCHIVED

UNGATED = frozenset(
    {CreateWorkspace, FreezeWorkspace, ThawWorkspace, ArchiveWorkspace, RevokeKey, UnbindRole, RevokeSessionTokens}
)
"""Commands that are answered even while the workspace is closed to all others: its own, and those that only take
authority away, which an incident may need."""


def closed(workspace: Workspace) -> Rejection | None:
    """What every other command is told while the workspace is not active."""
    if workspace.state is FROZEN:
        return Rejection(Code.FROZEN, f"workspace {workspace.id} is frozen")
    if workspace.state is ARCHIVED:
        return Rejection(Code.ARCHIVED, f"workspace {workspace.id} is archived")
    return None


def _create(_: None, arguments: CreateWorkspace, request: AccessRequest) -> Decision:
    if request.target == SYSTEM_WORKSPACE:
        return Rejection(Code.ALREADY_EXISTS, f"the id {SYSTEM_WORKSPACE!r} is reserved")
    owner = request.envelope.principal
    return (
        Fact("workspace", request.target, WorkspaceCreated(arguments.name, owner)),
        Fact("principal", owner, RoleBound(Role.OWNER)),
    )


def _rename(workspace: Workspace, arguments: RenameWorkspace, _: AccessRequest) -> Decision:
    return (Fact("workspace", workspace.id, WorkspaceRenamed(arguments.name)),)


def _freeze(workspace: Workspace, arguments: FreezeWorkspace, _: AccessRequest) -> Decision:
    return (Fact("workspace", workspace.id, WorkspaceFrozen(arguments.reason)),)


def _thaw(workspace: Workspace, _: ThawWorkspace, __: AccessRequest) -> Decision:
    return (Fact("workspace", workspace.id, WorkspaceThawed()),)


def _archive(workspace: Workspace, _: ArchiveWorkspace, request: AccessRequest) -> Decision:
    live = sum(request.space.index.live_in_lineage.values())
    if live and request.world.feature_level >= CHILDREN_LEVEL:
        first = "" if workspace.state is ACTIVE else "thaw it, and "
        return Rejection(Code.INVALID_STATE, f"workspace {workspace.id} has {live} live sessions: {first}cancel them")
    return (Fact("workspace", workspace.id, WorkspaceArchived()),)


RULES: Rules = {
    CreateWorkspace: Rule(decide=_create, targets=(ACTIVE,)),
    RenameWorkspace: Rule(decide=_rename, sources=frozenset({ACTIVE})),
    FreezeWorkspace: Rule(decide=_freeze, sources=frozenset({ACTIVE}), targets=(FROZEN,)),
    ThawWorkspace: Rule(decide=_thaw, sources=frozenset({FROZEN}), targets=(ACTIVE,)),
    ArchiveWorkspace: Rule(decide=_archive, sources=frozenset({ACTIVE, FROZEN}), targets=(ARCHIVED,)),
}


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


EVOLVE: Mapping[type[Event], Evolve] = {
    WorkspaceCreated: _created,
    WorkspaceRenamed: _renamed,
    WorkspaceFrozen: _frozen,
    WorkspaceThawed: _thawed,
    WorkspaceArchived: _archived,
}
