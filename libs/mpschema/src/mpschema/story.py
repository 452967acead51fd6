"""The names the examples share, so that together they tell one story: a crew of agents reviews a repository."""

import datetime as dt
from typing import TypedDict

from mpschema.channel import Scope
from mpschema.session import BlueprintRef, SessionLimits
from mpschema.task import Evidence

WORKSPACE = "acme"
OWNER = "user:ada"
PROJECT = "core"
BOARD = "flow"
TASK = "fix-login"
BLOCKED_TASK = "ship-login"
ROOT_SESSION = "lead-1"
SESSION = "reviewer-1"
CHANNEL = "findings"
WEBHOOK = "ci"
WEBHOOK_URL = "https://ci.example/hooks/moduprompt"
WEBHOOK_KEY = f"task/{TASK}"
ACTOR = f"agent:{SESSION}"
KEY = "laptop"
KEY_HASH = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
COMMAND_ID = "0199f3a2-7c10-7abc-9def-0123456789ab"
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
TIME_MS = 1_767_225_600_123
EXPIRES_AT_MS = TIME_MS + 300_000
SCOPE = Scope.LINEAGE

BLUEPRINT = BlueprintRef(name="reviewer", version="1.2.0", digest="ab" * 32)
LIMITS = SessionLimits(max_depth=2, max_children=8)
EVIDENCE = (
    Evidence(kind="test", summary="14 passed in 2.1 s", uri="git:core@4be1c02:reports/login.xml", sha256="cd" * 32),
    Evidence(kind="note", summary="The retry loop ended one attempt early."),
)


def moment(time_ms: int) -> dt.datetime:
    """Milliseconds since the epoch as a moment in UTC."""
    return dt.datetime.fromtimestamp(time_ms / 1000, dt.UTC)


AT = moment(TIME_MS)
LATER = moment(EXPIRES_AT_MS)


class _Changed(TypedDict):
    workspace_id: str
    version: int
    last_seq: int
    created_at: dt.datetime
    updated_at: dt.datetime


CHANGED = _Changed(workspace_id=WORKSPACE, version=4, last_seq=1042, created_at=AT, updated_at=LATER)
"""The columns of every row."""
