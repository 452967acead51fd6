"""The queries about principals and their keys, and the rows that they answer with."""

import msgspec

from mpschema.principal import Role
from mpschema.rows import Moment, QuerySpec, Row, listed, pair


class PrincipalRow(Row, kw_only=True, frozen=True):
    id: str
    roles: list[Role]


class KeyRow(msgspec.Struct, kw_only=True, frozen=True):
    workspace_id: str
    id: str
    principal_id: str
    created_at: Moment
    expires_at: Moment | None
    revoked_at: Moment | None


QUERIES: tuple[QuerySpec, ...] = (
    *pair("principal", PrincipalRow, shown=("id", "roles", "updated_at")),
    listed(
        "principal.keys",
        KeyRow,
        "/principals/{id}/keys",
        "List a principal's API keys; never the keys themselves.",
        shown=("id", "created_at", "expires_at", "revoked_at"),
    ),
)
