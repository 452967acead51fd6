"""The choice of whoever closes a project or a workspace: what becomes of the sessions that run in it."""

import enum
from typing import Annotated

import msgspec

from mpschema.levels import HOUSE_LEVEL


class CancelSessions(enum.StrEnum):
    """The sessions that are canceled with what is closed."""

    NONE = "none"
    """No session: while one lives, closing is refused."""
    RUNNING = "running"
    """Every session that lives."""


Cancel = Annotated[CancelSessions, msgspec.Meta(extra_json_schema={"x-since-level": HOUSE_LEVEL})]
