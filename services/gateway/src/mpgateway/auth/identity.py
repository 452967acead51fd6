"""Who asks, once that is established."""

import hashlib
import re

import msgspec
from mpschema.ids import is_id

ROOT = "user:root"
_DIGEST = re.compile(r"^[0-9a-f]{64}\Z")


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """A principal, and the bounds of the credential it came with.

    `workspace_id` set: the credential is good in that workspace alone. `expires_at`: seconds since the Unix epoch.
    """

    principal: str
    operator: bool = False
    workspace_id: str | None = None
    session_id: str | None = None
    expires_at: float | None = None


def principal_of_subject(subject: str) -> str:
    """The principal of an OIDC subject: `user:<subject>`, or `user:<SHA-256>` where that is no id.

    Subjects that would read as `user:root` or as another subject's digest are digested too: nobody becomes somebody
    else by choosing a name.
    """
    plain = f"user:{subject}"
    if subject and is_id(plain) and plain != ROOT and not _DIGEST.match(subject):
        return plain
    return "user:" + hashlib.sha256(subject.encode()).hexdigest()
