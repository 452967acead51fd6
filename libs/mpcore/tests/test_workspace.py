"""Workspaces: who makes them, and what still works in one that is closed."""

import pytest
from mpschema.principal import BindRole, IssueKey, KeyRevoked, RevokeKey, Role, RoleBound, RoleUnbound, UnbindRole
from mpschema.project import CreateProject
from mpschema.rejections import Code
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

from libs.mpcore.tests.story import ACME, DEVELOPER, OPERATOR, OWNER, ROOT, Step, Story, acme

FREEZE = Step(FreezeWorkspace("incident"), ACME, OWNER)


def created(workspace_id: str, by: str = ROOT) -> Step:
    return Step(CreateWorkspace("New"), workspace_id, by, workspace_id=workspace_id)


def test_whoever_creates_a_workspace_becomes_its_owner() -> None:
    Story().when(created("new")).then(WorkspaceCreated("New", ROOT), RoleBound(Role.OWNER))


@pytest.mark.parametrize("principal", [OWNER, OPERATOR, DEVELOPER, "agent:s1"])
def test_only_operators_of_the_deployment_create_workspaces(principal: str) -> None:
    acme().when(created("new", principal)).then_rejected(Code.DENIED)


def test_a_workspace_is_created_once() -> None:
    acme().when(created(ACME)).then_rejected(Code.ALREADY_EXISTS)


def test_the_workspace_of_the_system_is_reserved() -> None:
    Story().when(created(SYSTEM_WORKSPACE)).then_rejected(Code.ALREADY_EXISTS)


def test_a_workspace_s_commands_name_the_workspace_itself() -> None:
    acme().when(Step(RenameWorkspace("Other"), "other", OWNER)).then_rejected(Code.SCHEMA_INVALID)


def test_a_workspace_is_renamed() -> None:
    acme().when(Step(RenameWorkspace("Other"), ACME, OWNER)).then(WorkspaceRenamed("Other"))


def test_a_frozen_workspace_refuses_every_change() -> None:
    story = acme()
    story.when(FREEZE).then(WorkspaceFrozen("incident"))
    story.when(Step(CreateProject("More"), "more")).then_rejected(Code.FROZEN)
    story.when(Step(BindRole(Role.VIEWER), "user:new", OWNER)).then_rejected(Code.FROZEN)
    story.when(Step(RenameWorkspace("Other"), ACME, OWNER)).then_rejected(Code.FROZEN)


@pytest.mark.parametrize("closing", [FREEZE, Step(ArchiveWorkspace(), ACME, OWNER)])
def test_authority_can_be_taken_away_from_a_closed_workspace(closing: Step) -> None:
    key = Step(IssueKey("k1", "a" * 64), DEVELOPER, OWNER)
    story = acme().given(key, closing)
    story.when(Step(RevokeKey("k1"), DEVELOPER, OWNER)).then(KeyRevoked("k1"))
    story.when(Step(UnbindRole(Role.DEVELOPER), DEVELOPER, OWNER)).then(RoleUnbound(Role.DEVELOPER))


def test_a_thawed_workspace_changes_again() -> None:
    story = acme().given(FREEZE)
    story.when(Step(ThawWorkspace(), ACME, OWNER)).then(WorkspaceThawed())
    story.when(Step(CreateProject("More"), "more")).then_accepted()


def test_a_frozen_workspace_can_be_archived() -> None:
    acme().given(FREEZE).when(Step(ArchiveWorkspace(), ACME, OWNER)).then(WorkspaceArchived())


def test_an_archived_workspace_is_closed_for_good() -> None:
    story = acme().given(Step(ArchiveWorkspace(), ACME, OWNER))
    story.when(Step(CreateProject("More"), "more")).then_rejected(Code.ARCHIVED)
    story.when(Step(ThawWorkspace(), ACME, OWNER)).then_rejected(Code.ARCHIVED)


def test_an_operator_freezes_but_does_not_archive() -> None:
    story = acme()
    story.when(Step(ArchiveWorkspace(), ACME, OPERATOR)).then_rejected(Code.DENIED)
    story.when(Step(FreezeWorkspace("incident"), ACME, OPERATOR)).then_accepted()


def test_a_stranger_is_told_of_its_rights_before_the_freeze() -> None:
    story = acme().given(FREEZE)
    story.when(Step(CreateProject("More"), "more", "user:sam")).then_rejected(Code.DENIED)
