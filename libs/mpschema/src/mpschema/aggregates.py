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
"""The aggregates in the order of their introduction, which is that of snapshots.

The words of `task` are in `mpschema.task`, its rules in `mpcore.domain.task`.
"""
