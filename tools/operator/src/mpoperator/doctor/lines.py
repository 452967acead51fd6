"""The lines that the doctor may say: those of one thing by their name, those of several by what begins it and `*`."""

from __future__ import annotations

LINES = (
    "nats", "nats sync", "nats storage", "nats account", "redis", "credential *", "clock *",
    "streams", "streams apart", "stream *", "log ingest", "readers", "copies *", "mending", "log chain",
    "intake", "intake consumer", "intake backlog",
    "leader", "lease *", "log", "elections", "time", "line", "progress", "feed",
    "postgres", "schema", "role *", "rows", "rows *", "grants", "grants *",
    "projections", "projection *", "build *", "event types", "follow-ups", "sweeps",
    "services", "service *", "concern *", "counts *", "disk", "secrets", "secret *",
)  # fmt: skip


def line_of(check: str) -> str | None:
    """The line that a check's name is of; None for one that stands nowhere."""
    if check in LINES:
        return check
    kind = f"{check.partition(' ')[0]} *"
    return kind if kind in LINES else None
