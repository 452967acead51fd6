"""Principals: roles are granted by those who hold them or stand above, and keys are known by their hash."""

import pytest
from mpcore.domain.principal.index import principals
from mpschema.base import Command
from mpschema.levels import EXPIRY_LEVEL
from mpschema.principal import (
    BindRole,
    IssueKey,
    KeyIssued,
    KeyRevoked,
    RevokeKey,
    Role,
    RoleBound,
    RoleUnbound,
    UnbindRole,
)
from mpschema.rejections import Code
from mpschema.workspace import CreateWorkspace

from libs.mpcore.tests.story import (
    ACME,
    DEVELOPER,
    OPERATOR,
    OWNER,
    ROOT,
    RUNNER,
    STRANGER,
    VIEWER,
    Step,
    Story,
    acme,
)

HASH = "0" * 64


def key(key_id: str = "k1", of: str = DEVELOPER, by: str = OWNER) -> Step:
    return Step(IssueKey(key_id, HASH), of, by)


def test_a_role_is_bound() -> None:
    acme().when(Step(BindRole(Role.VIEWER), STRANGER, OWNER)).then(RoleBound(Role.VIEWER))


def test_a_role_is_bound_once() -> None:
    acme().when(Step(BindRole(Role.VIEWER), VIEWER, OWNER)).then_rejected(Code.ALREADY_EXISTS)


def test_the_highest_role_stands_first() -> None:
    story = acme().given(Step(BindRole(Role.OPERATOR), VIEWER, OWNER), Step(BindRole(Role.AGENT), VIEWER, OWNER))
    assert principals(story.tenant).by_id[VIEWER].roles == (Role.OPERATOR, Role.AGENT, Role.VIEWER)


def test_a_role_is_unbound() -> None:
    story = acme()
    story.when(Step(UnbindRole(Role.VIEWER), VIEWER, OWNER)).then(RoleUnbound(Role.VIEWER))
    assert principals(story.tenant).by_id[VIEWER].roles == ()


def test_a_role_that_is_not_held_cannot_be_taken() -> None:
    acme().when(Step(UnbindRole(Role.AGENT), VIEWER, OWNER)).then_rejected(Code.NOT_FOUND)
    acme().when(Step(UnbindRole(Role.AGENT), STRANGER, OWNER)).then_rejected(Code.NOT_FOUND)


@pytest.mark.parametrize("command", [BindRole(Role.OWNER), UnbindRole(Role.OWNER)])
def test_nobody_grants_or_takes_what_stands_above_it(command: Command) -> None:
    acme().when(Step(command, OWNER, OPERATOR)).then_rejected(Code.AUTHORITY_EXCEEDED)


def test_an_operator_grants_up_to_its_own_role() -> None:
    acme().when(Step(BindRole(Role.OPERATOR), STRANGER, OPERATOR)).then_accepted()


def test_an_operator_of_the_deployment_is_an_operator_and_no_owner_elsewhere() -> None:
    story = acme().given(Step(UnbindRole(Role.OWNER), ROOT, OWNER))
    story.when(Step(BindRole(Role.DEVELOPER), STRANGER, ROOT)).then_accepted()
    story.when(Step(BindRole(Role.OWNER), STRANGER, ROOT)).then_rejected(Code.AUTHORITY_EXCEEDED)


@pytest.mark.parametrize("principal", [DEVELOPER, RUNNER, VIEWER, STRANGER])
def test_granting_is_not_for_everyone(principal: str) -> None:
    acme().when(Step(BindRole(Role.VIEWER), STRANGER, principal)).then_rejected(Code.DENIED)


def test_an_agent_has_no_roles_of_its_own() -> None:
    acme().when(Step(BindRole(Role.DEVELOPER), "agent:s1", OWNER)).then_rejected(Code.AUTHORITY_EXCEEDED)


def test_the_last_owner_stays() -> None:
    story = Story().given(Step(CreateWorkspace("Acme"), ACME, ROOT))
    story.given(Step(BindRole(Role.OWNER), OWNER, ROOT), Step(UnbindRole(Role.OWNER), ROOT, OWNER))
    story.when(Step(UnbindRole(Role.OWNER), OWNER, OWNER)).then_rejected(Code.LAST_OWNER)


def test_a_key_is_issued_by_its_hash() -> None:
    story = acme()
    later = story.now_ms + 5
    story.when(Step(IssueKey("k1", HASH, later), DEVELOPER, OWNER)).then(KeyIssued("k1", HASH, later))


@pytest.mark.parametrize("ends", [0, 1_000, None])
def test_a_key_that_would_have_ended_already_is_not_issued(ends: int | None) -> None:
    story = acme()
    ends = story.now_ms if ends is None else ends
    story.when(Step(IssueKey("k1", HASH, ends), DEVELOPER, OWNER)).then_rejected(Code.SCHEMA_INVALID)


def test_before_the_level_a_key_is_issued_whenever_it_ends() -> None:
    story = acme()
    story.world.feature_level = EXPIRY_LEVEL - 1
    story.when(Step(IssueKey("k1", HASH, 5), DEVELOPER, OWNER)).then(KeyIssued("k1", HASH, 5))


def test_a_key_id_is_used_once_even_after_revocation() -> None:
    story = acme().given(key(), Step(RevokeKey("k1"), DEVELOPER, OWNER))
    story.when(key()).then_rejected(Code.ALREADY_EXISTS)
    story.when(key(of=VIEWER)).then_rejected(Code.ALREADY_EXISTS)


def test_who_takes_the_id_of_a_key_first_keeps_nobody_from_a_key_and_spoils_none() -> None:
    story = acme().given(key("k1", of=VIEWER, by=OPERATOR))
    story.when(key("k1")).then_rejected(Code.ALREADY_EXISTS)
    story.when(key("k2")).then_accepted()
    story.when(key("k2", of=VIEWER, by=OPERATOR)).then_rejected(Code.ALREADY_EXISTS)
    story.when(Step(RevokeKey("k2"), VIEWER, OPERATOR)).then_rejected(Code.NOT_FOUND)
    story.when(Step(RevokeKey("k1"), VIEWER, OPERATOR)).then_accepted()
    assert principals(story.tenant).by_id[DEVELOPER].keys == {"k2": True}


def test_the_key_a_deployment_starts_with_is_reserved() -> None:
    acme().when(key("root")).then_rejected(Code.ALREADY_EXISTS)


def test_a_key_needs_a_principal() -> None:
    acme().when(key(of=STRANGER)).then_rejected(Code.NOT_FOUND)


def test_a_key_of_someone_above_is_not_to_be_had() -> None:
    acme().when(key(of=OWNER, by=OPERATOR)).then_rejected(Code.AUTHORITY_EXCEEDED)


def test_a_workspace_s_owner_gets_no_key_of_the_deployment_s_operator() -> None:
    acme().when(key(of=ROOT, by=OWNER)).then_rejected(Code.AUTHORITY_EXCEEDED)
    acme().when(key(of=ROOT, by=ROOT)).then_accepted()


def test_a_key_is_revoked_once() -> None:
    story = acme().given(key())
    story.when(Step(RevokeKey("k1"), DEVELOPER, OPERATOR)).then(KeyRevoked("k1"))
    story.when(Step(RevokeKey("k1"), DEVELOPER, OPERATOR)).then_rejected(Code.INVALID_STATE)


def test_a_key_is_revoked_at_its_own_principal() -> None:
    acme().given(key()).when(Step(RevokeKey("k1"), VIEWER, OWNER)).then_rejected(Code.NOT_FOUND)
