"""Examples of the commands, events and rows about principals and their keys: one of each."""

import msgspec

from mpschema import story
from mpschema.base import Command, Event
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
from mpschema.principal.rows import KeyRow, PrincipalRow

ID = story.OWNER
COMMANDS: tuple[Command, ...] = (
    BindRole(role=Role.DEVELOPER),
    UnbindRole(role=Role.VIEWER),
    IssueKey(key_id=story.KEY, key_hash=story.KEY_HASH, expires_at_ms=story.EXPIRES_AT_MS),
    RevokeKey(key_id=story.KEY),
)
EVENTS: tuple[Event, ...] = (
    RoleBound(role=Role.DEVELOPER),
    RoleUnbound(role=Role.VIEWER),
    KeyIssued(key_id=story.KEY, key_hash=story.KEY_HASH, expires_at_ms=story.EXPIRES_AT_MS),
    KeyRevoked(key_id=story.KEY),
)
ROWS: tuple[msgspec.Struct, ...] = (
    PrincipalRow(**story.CHANGED, id=story.OWNER, roles=[Role.OWNER, Role.DEVELOPER]),
    KeyRow(
        workspace_id=story.WORKSPACE,
        id=story.KEY,
        principal_id=story.OWNER,
        created_at=story.AT,
        expires_at=story.LATER,
        revoked_at=None,
    ),
)
