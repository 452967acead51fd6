"""The events of a principal, as they change its state."""

from mpschema.envelope import EventRecord
from mpschema.principal import (
    KeyIssued,
    KeyRevoked,
    RoleBound,
    RoleUnbound,
)
from msgspec.structs import replace

from mpcore.domain.principal.state import RANK, Principal
from mpcore.state.rules import Evolves


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


EVOLVE: Evolves = {
    RoleBound: _role_bound,
    RoleUnbound: _role_unbound,
    KeyIssued: _key_issued,
    KeyRevoked: _key_revoked,
}
