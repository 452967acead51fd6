"""The rules of a principal's commands."""

from mpschema.levels import EXPIRY_LEVEL, FIRST_LEVEL
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
    ended_already,
)
from mpschema.rejections import Code, Rejection
from mpschema.subjects import SYSTEM_PREFIX

from mpcore.domain.principal.index import principals
from mpcore.domain.principal.state import AGENT_PREFIX, Principal
from mpcore.state.facts import Decision, Fact
from mpcore.state.rules import TENANCY, DecisionContext, Rule, Rules

RESERVED_KEYS = frozenset({"root"})
"""Key ids that no workspace may issue: they name the keys a deployment starts with."""


def _bind_role(principal: Principal | None, arguments: BindRole, context: DecisionContext) -> Decision:
    if context.target.startswith(AGENT_PREFIX):
        return Rejection(Code.AUTHORITY_EXCEEDED, "an agent has the authority of its session and no other")
    if context.target.startswith(SYSTEM_PREFIX):
        return Rejection(Code.AUTHORITY_EXCEEDED, "a service of the system has an authority of its own and no other")
    if principal is not None and arguments.role in principal.roles:
        return Rejection(Code.ALREADY_EXISTS, f"{principal.id} is {arguments.role} already")
    return (Fact("principal", context.target, RoleBound(arguments.role)),)


def _unbind_role(principal: Principal, arguments: UnbindRole, context: DecisionContext) -> Decision:
    if arguments.role not in principal.roles:
        return Rejection(Code.NOT_FOUND, f"{principal.id} is not {arguments.role}")
    if arguments.role is Role.OWNER and len(principals(context.draft.tenant).owners) == 1:
        return Rejection(Code.LAST_OWNER, f"{principal.id} is the last owner of the workspace")
    return (Fact("principal", principal.id, RoleUnbound(arguments.role)),)


def _issue_key(principal: Principal, arguments: IssueKey, context: DecisionContext) -> Decision:
    if arguments.key_id in principals(context.draft.tenant).keys or arguments.key_id in RESERVED_KEYS:
        return Rejection(Code.ALREADY_EXISTS, f"key {arguments.key_id} exists already")
    ends = arguments.expires_at_ms
    if context.draft.world.feature_level >= EXPIRY_LEVEL and ends is not None and ends <= context.inputs.now_ms:
        return Rejection(Code.SCHEMA_INVALID, ended_already(ends))
    event = KeyIssued(arguments.key_id, arguments.key_hash, arguments.expires_at_ms)
    return (Fact("principal", principal.id, event),)


def _revoke_key(principal: Principal, arguments: RevokeKey, _: DecisionContext) -> Decision:
    valid = principal.keys.get(arguments.key_id)
    if valid is None:
        return Rejection(Code.NOT_FOUND, f"{principal.id} has no key {arguments.key_id}")
    if not valid:
        return Rejection(Code.INVALID_STATE, f"key {arguments.key_id} is revoked already")
    return (Fact("principal", principal.id, KeyRevoked(arguments.key_id)),)


RULES: Rules = {
    BindRole: Rule(decide=_bind_role, absent_too=True, roles=TENANCY),
    UnbindRole: Rule(decide=_unbind_role, roles=TENANCY, ungated_since=FIRST_LEVEL),
    IssueKey: Rule(decide=_issue_key, roles=TENANCY),
    RevokeKey: Rule(decide=_revoke_key, roles=TENANCY, ungated_since=FIRST_LEVEL),
}
