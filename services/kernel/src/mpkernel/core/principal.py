"""Who may act in a workspace, in which roles, with which keys."""

from collections.abc import Mapping

from mpschema.base import Event
from mpschema.envelope import EventRecord
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
    ended_already,
)
from mpschema.rejections import Code, Rejection
from mpschema.subjects import SYSTEM_PREFIX
from msgspec.structs import replace

from mpkernel.core.rules import AccessRequest, Evolve, Rule, Rules
from mpkernel.core.states import Principal
from mpkernel.core.world import Decision, Fact

AGENT_PREFIX = "agent:"
"""A principal of this form is the agent that runs the session of that id."""
RESERVED_KEYS = frozenset({"root"})
"""Key ids that no workspace may issue: they name the keys a deployment starts with."""
RANK = {Role.OWNER: 5, Role.OPERATOR: 4, Role.DEVELOPER: 3, Role.AGENT: 2, Role.VIEWER: 1}
"""Who outranks whom. Without a role: 0."""


def _bind_role(principal: Principal | None, arguments: BindRole, request: AccessRequest) -> Decision:
    if request.target.startswith(AGENT_PREFIX):
        return Rejection(Code.AUTHORITY_EXCEEDED, "an agent has the authority of its session and no other")
    if request.target.startswith(SYSTEM_PREFIX):
        return Rejection(Code.AUTHORITY_EXCEEDED, "a service of the system has an authority of its own and no other")
    if principal is not None and arguments.role in principal.roles:
        return Rejection(Code.ALREADY_EXISTS, f"{principal.id} is {arguments.role} already")
    return (Fact("principal", request.target, RoleBound(arguments.role)),)


def _unbind_role(principal: Principal, arguments: UnbindRole, request: AccessRequest) -> Decision:
    if arguments.role not in principal.roles:
        return Rejection(Code.NOT_FOUND, f"{principal.id} is not {arguments.role}")
    if arguments.role is Role.OWNER and len(request.space.index.owners) == 1:
        return Rejection(Code.LAST_OWNER, f"{principal.id} is the last owner of the workspace")
    return (Fact("principal", principal.id, RoleUnbound(arguments.role)),)


def _issue_key(principal: Principal, arguments: IssueKey, request: AccessRequest) -> Decision:
    if arguments.key_id in request.space.index.keys or arguments.key_id in RESERVED_KEYS:
        return Rejection(Code.ALREADY_EXISTS, f"key {arguments.key_id} exists already")
    ends = arguments.expires_at_ms
    if request.world.feature_level >= EXPIRY_LEVEL and ends is not None and ends <= request.now_ms:
        return Rejection(Code.SCHEMA_INVALID, ended_already(ends))
    event = KeyIssued(arguments.key_id, arguments.key_hash, arguments.expires_at_ms)
    return (Fact("principal", principal.id, event),)


def _revoke_key(principal: Principal, arguments: RevokeKey, _: AccessRequest) -> Decision:
    valid = principal.keys.get(arguments.key_id)
    if valid is None:
        return Rejection(Code.NOT_FOUND, f"{principal.id} has no key {arguments.key_id}")
    if not valid:
        return Rejection(Code.INVALID_STATE, f"key {arguments.key_id} is revoked already")
    return (Fact("principal", principal.id, KeyRevoked(arguments.key_id)),)


RULES: Rules = {
    BindRole: Rule(decide=_bind_role, absent_too=True),
    UnbindRole: Rule(decide=_unbind_role),
    IssueKey: Rule(decide=_issue_key),
    RevokeKey: Rule(decide=_revoke_key),
}


def _role_bound(principal: Principal | None, event: RoleBound, record: EventRecord) -> Principal:
    if principal is None:
        return Principal(record.aggregate_id, record.version, (event.role,))
    roles = sorted({*principal.roles, event.role}, key=lambda role: -RANK[role])
    return replace(principal, version=record.version, roles=tuple(roles))


def _role_unbound(principal: Principal, event: RoleUnbound, record: EventRecord) -> Principal:
    roles = tuple(role for role in principal.roles if role is not event.role)
    return replace(principal, version=record.version, roles=roles)


def _key_issued(principal: Principal, event: KeyIssued, record: EventRecord) -> Principal:
    return replace(principal, version=record.version, keys={**principal.keys, event.key_id: True})


def _key_revoked(principal: Principal, event: KeyRevoked, record: EventRecord) -> Principal:
    return replace(principal, version=record.version, keys={**principal.keys, event.key_id: False})


EVOLVE: Mapping[type[Event], Evolve] = {
    RoleBound: _role_bound,
    RoleUnbound: _role_unbound,
    KeyIssued: _key_issued,
    KeyRevoked: _key_revoked,
}
