"""The state of a principal."""

import msgspec
from mpschema.principal import Role

AGENT_PREFIX = "agent:"
"""A principal of this form is the agent that runs the session of that id."""
RANK = {Role.OWNER: 5, Role.OPERATOR: 4, Role.DEVELOPER: 3, Role.AGENT: 2, Role.VIEWER: 1}
"""The ranks of roles. Without a role: 0."""


class Principal(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """Somebody who may act.

    `roles` are sorted, the highest first; `keys` says of each key ever issued if it is valid.
    """

    id: str
    version: int
    roles: tuple[Role, ...] = ()
    keys: dict[str, bool] = {}
