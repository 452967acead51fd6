"""The index of the principals of a workspace: its owners, and whose each key is."""

import msgspec
from mpschema.principal import Role

from mpcore.domain.principal.state import RANK, Principal
from mpcore.state.tenant import Index, Tenant
from mpcore.state.world import World

_OPERATOR_RANK = RANK[Role.OPERATOR]


class PrincipalIndex(Index):
    """Principals by their ids."""

    by_id: dict[str, Principal] = msgspec.field(default_factory=dict)
    owners: set[str] = msgspec.field(default_factory=set)
    keys: dict[str, str] = msgspec.field(default_factory=dict)
    """API key to its principal, of every key ever issued."""


def principals(tenant: Tenant) -> PrincipalIndex:
    """The principals of a workspace."""
    index: PrincipalIndex = tenant.indexes["principal"]
    return index


def rank(world: World, tenant: Tenant, principal: str) -> int:
    """Return the rank of the principal in the workspace (`RANK`; 0 without a role)."""
    state = principals(tenant).by_id.get(principal)
    own = RANK[state.roles[0]] if state is not None and state.roles else 0
    return max(own, _OPERATOR_RANK) if principal in world.operators else own


def reindex(tenant: Tenant, old: Principal | None, new: Principal | None) -> None:
    """See `state.descriptor.Reindex`."""
    index, known, keys = principals(tenant), new or old, {} if new is None else new.keys
    assert known is not None, "a change has a state before or after"
    if new is not None and Role.OWNER in new.roles:
        index.owners.add(known.id)
    else:
        index.owners.discard(known.id)
    for key_id in keys:
        index.keys[key_id] = known.id
    for key_id in () if old is None else old.keys:
        if key_id not in keys:
            del index.keys[key_id]
