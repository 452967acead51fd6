"""Commits for tests: a small log writer that chains what it is given."""

from mpbus.reader import GENESIS, HASH_HEADER, LogPosition
from mpschema import codec, subjects
from mpschema.envelope import CommitHeader, EventRecord
from mpschema.registry import record_of
from mpschema.task import TaskReady
from nats.aio.client import Client


class Chain:
    """Appends commits of simple events to a shard's log stream, each linked to the one before."""

    def __init__(self, nc: Client, shard: str) -> None:
        self._js = nc.jetstream()
        self._subject = subjects.log_subject(shard)
        self.position = GENESIS

    def events(self, count: int) -> list[EventRecord]:
        """The next events, numbered on from the position."""
        return [
            record_of(
                TaskReady(),
                seq=self.position.seq + index + 1,
                id=f"c{self.position.seq + index + 1}:0",
                workspace_id="acme",
                aggregate_id="t1",
                version=1,
                time_ms=1,
                epoch=1,
                actor="user:ann",
            )
            for index in range(count)
        ]

    async def append(self, count: int, *, claimed_previous: str | None = None, first_seq: int | None = None) -> None:
        """One commit of `count` events; its header may be told to lie."""
        await self.append_records(self.events(count), claimed_previous=claimed_previous, first_seq=first_seq)

    async def append_records(
        self, records: list[EventRecord], *, claimed_previous: str | None = None, first_seq: int | None = None
    ) -> None:
        """One commit of these events."""
        header = CommitHeader(
            epoch=1,
            first_seq=first_seq if first_seq is not None else self.position.seq + 1,
            count=len(records),
            time_ms=1,
            previous_hash=claimed_previous or self.position.hash,
            command_position=0,
        )
        await self.append_bytes(codec.encode_commit(header, records), len(records))

    async def append_bytes(self, data: bytes, count: int, stated: str | None = None) -> None:
        """One message as it is, under its own hash or a stated one."""
        commit_hash = stated or codec.commit_hash(self.position.hash, self._subject, data)
        ack = await self._js.publish(self._subject, data, headers={HASH_HEADER: commit_hash})
        self.position = LogPosition(ack.seq, self.position.seq + count, commit_hash)
