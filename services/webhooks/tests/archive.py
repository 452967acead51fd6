"""Commits as the archive keeps them, one event each, written by the owner of the tables."""

from __future__ import annotations

from typing import Any

from mpschema import codec
from mpschema.base import Event
from mpschema.envelope import CommitHeader
from mpschema.registry import record_of
from mpschema.system import LogRestored

COMMIT = "INSERT INTO mp.log_commits VALUES ($1, $1, $1, $2, 'mp.v1.log.0', $3, $4, $4, now())"
EVENT = """
INSERT INTO mp.log_events VALUES ($1, $2, $3, $4, $5, $6, 1, $7, 'user:root', now(), $1, $8, $9)
"""


async def record(owner: Any, workspace_id: str, aggregate_id: str, event: Event, *, seq: int, epoch: int) -> None:
    """Archive an event as the only one of its commit."""
    envelope = {"workspace_id": workspace_id, "aggregate_id": aggregate_id, "version": 1, "actor": "user:root"}
    made = record_of(event, seq=seq, id=f"c{seq}:0", time_ms=seq, epoch=epoch, **envelope)
    header = CommitHeader(
        epoch=epoch, first_seq=seq, count=1, time_ms=seq, previous_hash=codec.GENESIS_HASH, command_position=0
    )
    await owner.execute(COMMIT, seq, epoch, codec.encode(header), codec.GENESIS_HASH)
    names = workspace_id, made.id, made.event_type, made.aggregate, aggregate_id
    await owner.execute(EVENT, seq, *names, epoch, codec.GENESIS_HASH, codec.encode(made))


async def put_back(owner: Any, *, at_seq: int, epoch: int) -> None:
    """Archive that the log was put back from a copy that ended at an event."""
    digest = codec.GENESIS_HASH
    restored = LogRestored(at_seq=at_seq, head=digest, state_root=digest, source="backup", copied_at_ms=0)
    await record(owner, "system", "log", restored, seq=at_seq + 1, epoch=epoch)
