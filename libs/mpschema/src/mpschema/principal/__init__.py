"""The words about a principal: who may act in a workspace, in which role, with which keys."""

import enum

from mpschema.base import Command, Digest, Event, Id, TimeMs
from mpschema.vocabulary import Vocabulary, command


class Role(enum.StrEnum):
    """The rights of a principal in a workspace. Without a binding there is no access."""

    OWNER = "owner"
    OPERATOR = "operator"
    DEVELOPER = "developer"
    AGENT = "agent"
    VIEWER = "viewer"


class BindRole(Command, frozen=True):
    """Give a principal a role in the workspace."""

    role: Role


class UnbindRole(Command, frozen=True):
    """Take a role from a principal."""

    role: Role


class IssueKey(Command, frozen=True):
    """Record an API key of a principal by its hash; the key itself is never stored."""

    key_id: Id
    key_hash: Digest
    expires_at_ms: TimeMs | None = None


def ended_already(expires_at_ms: int) -> str:
    """Say why a key is not issued that nobody could use."""
    return f"expires_at_ms {expires_at_ms} has passed: milliseconds since 1970 are wanted, and a time to come"


class RevokeKey(Command, frozen=True):
    """Make an API key invalid for good."""

    key_id: Id


class RoleBound(Event, frozen=True):
    role: Role


class RoleUnbound(Event, frozen=True):
    role: Role


class KeyIssued(Event, frozen=True):
    key_id: Id
    key_hash: Digest
    expires_at_ms: TimeMs | None = None


class KeyRevoked(Event, frozen=True):
    key_id: Id


VOCABULARY = Vocabulary(
    name="principal",
    plural="principals",
    projection="directory",
    about="Who may act, in which role, with which keys.",
    commands=(
        command("principal.bind_role", BindRole, RoleBound),
        command("principal.unbind_role", UnbindRole, RoleUnbound),
        command("principal.issue_key", IssueKey, KeyIssued),
        command("principal.revoke_key", RevokeKey, KeyRevoked),
    ),
    events=(
        RoleBound,
        RoleUnbound,
        KeyIssued,
        KeyRevoked,
    ),
)
