"""The rules of a workspace's commands."""

from mpschema.ending import CancelSessions
from mpschema.levels import CHILDREN_LEVEL, FIRST_LEVEL, HOUSE_LEVEL
from mpschema.principal import Role, RoleBound
from mpschema.rejections import Code, Rejection
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

from mpcore.domain.naming import name_in
from mpcore.domain.session.index import sessions
from mpcore.domain.workspace.state import Workspace, WorkspaceState
from mpcore.state.facts import Decision, Fact
from mpcore.state.rules import NOBODY, OWNERS, TENANCY, DecisionContext, Rule, Rules, older

ACTIVE, FROZEN, ARCHIVED = WorkspaceState.ACTIVE, WorkspaceState.FROZEN, WorkspaceState.ARCHIVED


def _create(_: None, arguments: CreateWorkspace, context: DecisionContext) -> Decision:
    if context.target == SYSTEM_WORKSPACE:
        return Rejection(Code.ALREADY_EXISTS, f"the id {SYSTEM_WORKSPACE!r} is reserved")
    owner = context.envelope.principal
    context.draft.record(Fact("workspace", context.target, WorkspaceCreated(arguments.name, owner)))
    return (Fact("principal", owner, RoleBound(Role.OWNER)),)


def _rename(workspace: Workspace, arguments: RenameWorkspace, _: DecisionContext) -> Decision:
    return (Fact("workspace", workspace.id, WorkspaceRenamed(arguments.name)),)


def _freeze(workspace: Workspace, arguments: FreezeWorkspace, _: DecisionContext) -> Decision:
    return (Fact("workspace", workspace.id, WorkspaceFrozen(arguments.reason)),)


def _thaw(workspace: Workspace, _: ThawWorkspace, __: DecisionContext) -> Decision:
    return (Fact("workspace", workspace.id, WorkspaceThawed()),)


def _archive(workspace: Workspace, arguments: ArchiveWorkspace, context: DecisionContext) -> Decision:
    draft, canceling = context.draft, arguments.cancel is CancelSessions.RUNNING
    if canceling and draft.world.feature_level < HOUSE_LEVEL:
        return older(draft.world, "cancel: running", HOUSE_LEVEL)
    live = sum(sessions(draft.tenant).live_in_lineage.values())
    if live and not canceling and draft.world.feature_level >= CHILDREN_LEVEL:
        first = "" if workspace.state is ACTIVE else "thaw it, and "
        return Rejection(Code.INVALID_STATE, f"workspace {workspace.id} has {live} live sessions: {first}cancel them")
    return (Fact("workspace", workspace.id, WorkspaceArchived()),)


RULES: Rules = {
    CreateWorkspace: Rule(
        decide=_create, targets=(ACTIVE,), names=name_in("name"), roles=NOBODY, ungated_since=FIRST_LEVEL
    ),
    RenameWorkspace: Rule(decide=_rename, sources=frozenset({ACTIVE}), names=name_in("name"), roles=TENANCY),
    FreezeWorkspace: Rule(
        decide=_freeze, sources=frozenset({ACTIVE}), targets=(FROZEN,), roles=TENANCY, ungated_since=FIRST_LEVEL
    ),
    ThawWorkspace: Rule(
        decide=_thaw, sources=frozenset({FROZEN}), targets=(ACTIVE,), roles=TENANCY, ungated_since=FIRST_LEVEL
    ),
    ArchiveWorkspace: Rule(
        decide=_archive,
        sources=frozenset({ACTIVE, FROZEN}),
        targets=(ARCHIVED,),
        roles=OWNERS,
        ungated_since=FIRST_LEVEL,
    ),
}
