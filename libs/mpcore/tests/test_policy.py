"""Roles: a table from role to commands, closed to everything it does not name."""

import itertools

import pytest
from mpcore.access.policy import ROLE_COMMANDS, SYSTEM_COMMANDS, RoleAuthorizer
from mpcore.domain.aggregates import RULES
from mpschema.principal import BindRole, Role
from mpschema.project import ConfigureProject, CreateProject
from mpschema.registry import COMMANDS
from mpschema.rejections import Code
from mpschema.task import CancelTask
from mpschema.workspace import CreateWorkspace, RenameWorkspace

from libs.mpcore.tests.story import (
    CORE,
    DEVELOPER,
    OWNER,
    ROOT,
    RUNNER,
    STRANGER,
    VIEWER,
    Step,
    acme,
    active,
)


def test_the_table_names_only_commands_that_exist() -> None:
    assert set().union(*ROLE_COMMANDS.values(), *SYSTEM_COMMANDS.values()) <= set(COMMANDS)
    assert set(ROLE_COMMANDS) == set(Role)


def test_an_owner_may_do_everything_in_its_workspace() -> None:
    assert ROLE_COMMANDS[Role.OWNER] == set(COMMANDS) - {"workspace.create", "webhook.park", "webhook.clear"}


def test_an_operator_may_do_all_but_archive_the_workspace() -> None:
    assert ROLE_COMMANDS[Role.OWNER] - ROLE_COMMANDS[Role.OPERATOR] == {"workspace.archive"}


def test_a_developer_works_but_does_not_govern() -> None:
    governing = {kind for kind, spec in COMMANDS.items() if spec.aggregate in ("workspace", "principal", "webhook")}
    assert ROLE_COMMANDS[Role.DEVELOPER] == set(COMMANDS) - governing


def test_each_role_may_do_what_the_roles_below_it_may() -> None:
    descending = [ROLE_COMMANDS[role] for role in (Role.OWNER, Role.OPERATOR, Role.DEVELOPER, Role.AGENT, Role.VIEWER)]
    assert all(above > below for above, below in itertools.pairwise(descending))


def test_a_viewer_changes_nothing() -> None:
    assert ROLE_COMMANDS[Role.VIEWER] == frozenset()


def test_every_command_of_an_agent_has_its_rule() -> None:
    assert ROLE_COMMANDS[Role.AGENT] == {kind for kind, rule in RULES.items() if rule.agents is not None}


def test_the_digest_names_the_table() -> None:
    other = {**ROLE_COMMANDS, Role.VIEWER: frozenset({"task.create"})}
    assert RoleAuthorizer().digest == RoleAuthorizer({role: ROLE_COMMANDS[role] for role in reversed(Role)}).digest
    assert RoleAuthorizer().digest != RoleAuthorizer(other).digest
    assert len(RoleAuthorizer().digest) == 64


def test_an_agent_is_held_to_a_narrower_table() -> None:
    story = acme().given(*active("s1"))
    narrow = RoleAuthorizer({**ROLE_COMMANDS, Role.AGENT: frozenset()})
    step = Step(CancelTask(), "t1", "agent:s1")
    decision = story.ask(step, narrow)
    assert getattr(decision, "code", None) is Code.DENIED


@pytest.mark.parametrize("principal", [VIEWER, STRANGER, RUNNER])
def test_what_is_not_allowed_is_denied(principal: str) -> None:
    acme().when(Step(CreateProject("More"), "more", principal)).then_rejected(Code.DENIED)


def test_several_roles_add_up() -> None:
    story = acme().given(Step(BindRole(Role.DEVELOPER), VIEWER, OWNER))
    story.when(Step(CreateProject("More"), "more", VIEWER)).then_accepted()


@pytest.mark.parametrize("principal", [STRANGER, "agent:nobody"])
def test_without_a_role_what_exists_and_what_does_not_look_the_same(principal: str) -> None:
    story = acme()
    there = Step(ConfigureProject(), CORE, principal)
    answers = [
        story.when(there),
        story.when(there._replace(target="nowhere")),
        story.when(there._replace(workspace_id="nowhere")),
        story.when(there._replace(expected_version=99)),
    ]
    assert len({answer.then_rejected(Code.DENIED).detail for answer in answers}) == 1


def test_an_operator_of_the_deployment_is_told_that_a_workspace_does_not_exist() -> None:
    acme().when(Step(RenameWorkspace("x"), "nowhere", ROOT, workspace_id="nowhere")).then_rejected(Code.NOT_FOUND)


def test_a_developer_of_one_workspace_is_nobody_in_another() -> None:
    story = acme().given(Step(CreateWorkspace("Else"), "else", ROOT, workspace_id="else"))
    story.when(Step(CreateProject("x"), "x", DEVELOPER, workspace_id="else")).then_rejected(Code.DENIED)
