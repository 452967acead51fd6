"""All rows, in the order in which they are measured."""

from bench.rows import commands_http, commands_nats, failover, lag, log, memory, retention, sse, verify
from bench.rows.group import Group

GROUPS: tuple[Group, ...] = (
    commands_nats.GROUP,
    commands_http.GROUP,
    log.GROUP,
    verify.GROUP,
    lag.GROUP,
    failover.GROUP,
    sse.GROUP,
    memory.GROUP,
    retention.GROUP,
)
ROWS: dict[str, str] = {name: what for group in GROUPS for name, what in group.rows.items()}
