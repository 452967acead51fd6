"""The identity of an authenticated caller."""

import hashlib
import re
from typing import Any

import msgspec
from mpschema.ids import is_id

ROOT = "user:root"
SECONDS_MAX = 253_402_300_799
"""The last second of the year 9999."""
_DIGEST = re.compile(r"^[0-9a-f]{64}\Z")


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """A principal, and the bounds of the credential it came with.

    `workspace_id` set: the credential is good in that workspace alone. `expires_at`: seconds since the Unix epoch.
    What the credential rests on stands here, too, so that its end is a look-up: the hash of an API key, the id of an
    agent token, the thumbprint of the key that an identity provider signed with.
    """

    principal: str
    operator: bool = False
    workspace_id: str | None = None
    session_id: str | None = None
    expires_at: float | None = None
    key_hash: bytes = b""
    token_id: str = ""
    signed_by: str = ""

    @property
    def subject(self) -> str:
        """The name under which limits count the sender.

        An owner names principals freely: whose credential is of one workspace counts within it alone, and takes nothing
        from who bears the same name elsewhere.
        """
        return self.principal if self.workspace_id is None else f"{self.workspace_id}/{self.principal}"


class UnfitClaim(ValueError):
    """A claim of a token that nothing can be made of: its text may be told to whoever sent it."""


def check_times(claims: dict[str, Any]) -> None:
    """Times in a token are whole seconds that a calendar knows. Raises `UnfitClaim`."""
    for name in ("exp", "nbf", "iat"):
        value = claims.get(name)
        if name in claims and (type(value) is not int or not 0 <= value <= SECONDS_MAX):
            raise UnfitClaim(f"the claim {name} of the token is not a whole number of seconds from 0 to {SECONDS_MAX}")


def principal_of_subject(subject: str) -> str:
    """The principal of an OIDC subject: `user:<subject>`, or `user:<SHA-256>` where that is no id.

    Subjects that would read as `user:root` or as another subject's digest are digested too: nobody becomes somebody
    else by choosing a name.
    """
    plain = f"user:{subject}"
    if subject and is_id(plain) and plain != ROOT and not _DIGEST.match(subject):
        return plain
    return "user:" + hashlib.sha256(subject.encode()).hexdigest()
