"""The only list of aggregates: whatever else knows them finds their parts by these names."""

NAMES: tuple[str, ...] = (
    "workspace",
    "principal",
    "project",
    "board",
    "task",
    "session",
    "channel",
    "webhook",
    "sweep",
)
"""In the order in which they came to be, which is that of snapshots.

The words of `task` are in `mpschema.task`, its rules in `mpcore.domain.task`.
"""
