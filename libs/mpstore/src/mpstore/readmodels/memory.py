"""The read models and their ledger in memory: the same promises as in PostgreSQL, for tests and for the curious."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from mpbus.reader import GENESIS, LogPosition
from mpviews.changes import View
from mpviews.fold import Batch
from mpviews.rows import Rows, apply

from mpstore.readmodels import SERVING, OwnershipLost, ProjectionLease, ProjectionStatus, ReadModel


@dataclass(frozen=True)
class _Entry:
    version: int
    position: LogPosition = GENESIS
    owner: str | None = None
    epoch: int = 0
    lease_until: float = 0.0
    report: ProjectionStatus | None = None


class MemoryStore:
    """The content of a database: rows, and the owners of projections."""

    def __init__(self) -> None:
        self.rows: Rows = {}
        self.entries: dict[str, _Entry] = {}
        self.nodes: dict[str, float] = {}


class MemoryReadModel:
    """One projection's rows, for one owner (`ports.ReadModel`)."""

    def __init__(self, store: MemoryStore, lease: ProjectionLease) -> None:
        self._store = store
        self._lease = lease

    async def write(self, batch: Batch) -> None:
        """All rows of the batch and the position after it, or nothing."""
        entry = self._store.entries[self._lease.name]
        if entry.epoch != self._lease.epoch:
            raise OwnershipLost(f"{self._lease.name} has another owner than epoch {self._lease.epoch}")
        if entry.position == batch.position:
            return
        if entry.position != batch.after:
            raise OwnershipLost(f"{self._lease.name} is not at {batch.after.stream_seq} any more")
        self._store.rows = apply(self._store.rows, batch)
        self._store.entries[self._lease.name] = replace(entry, position=batch.position)

    async def close(self) -> None:
        """Nothing to let go of."""


class MemoryLedger:
    """The `ProjectionLedger` in memory, by the clock it is given (seconds)."""

    def __init__(self, store: MemoryStore, clock: Callable[[], float], *, lease_seconds: float = 5.0) -> None:
        self._store = store
        self._clock = clock
        self._lease_seconds = lease_seconds

    async def register(self, views: Sequence[View]) -> None:
        """Make sure each view has its entry."""
        for view in views:
            self._store.entries.setdefault(view.name, _Entry(view.version))

    async def strangers(self) -> dict[str, int]:
        """Every view has its one entry here."""
        return {}

    async def attend(self, node: str) -> int:
        """See `LeaseLedger`."""
        self._present(node)
        present = sum(until >= self._clock() for until in self._store.nodes.values())
        return math.ceil(len(self._store.entries) / max(1, present))

    async def claim(self, node: str, room: int) -> list[ProjectionLease]:
        """See `LeaseLedger`."""
        return [self._taken(name, node) for name in self._free()[:room]]

    async def renew(self, node: str, reports: Sequence[ProjectionStatus]) -> set[str]:
        """See `LeaseLedger`."""
        self._present(node)
        owned = set()
        for report in reports:
            lease = report.lease
            entry = self._store.entries[lease.name]
            if (entry.owner, entry.epoch) == (node, lease.epoch):
                self._store.entries[lease.name] = replace(entry, lease_until=self._end(), report=report)
                owned.add(lease.title)
        return owned

    async def release(self, node: str, leases: Sequence[ProjectionLease]) -> None:
        """See `LeaseLedger`."""
        for lease in leases:
            entry = self._store.entries[lease.name]
            if (entry.owner, entry.epoch) == (node, lease.epoch):
                self._store.entries[lease.name] = replace(entry, owner=None)

    async def leave(self, node: str) -> None:
        """See `LeaseLedger`."""
        self._store.nodes.pop(node, None)

    async def open(self, lease: ProjectionLease, view: View) -> ReadModel:
        """The projection's rows, for their owner."""
        assert view.name == lease.name
        return MemoryReadModel(self._store, lease)

    async def close(self) -> None:
        """Nothing to let go of."""

    def _present(self, node: str) -> None:
        self._store.nodes[node] = self._end()

    def _end(self) -> float:
        return self._clock() + self._lease_seconds

    def _free(self) -> list[str]:
        entries = self._store.entries
        free = [name for name, entry in entries.items() if entry.owner is None or entry.lease_until < self._clock()]
        return sorted(free, key=lambda name: entries[name].position.seq)

    def _taken(self, name: str, node: str) -> ProjectionLease:
        entry = self._store.entries[name]
        taken = replace(entry, owner=node, epoch=entry.epoch + 1, lease_until=self._end())
        self._store.entries[name] = taken
        return ProjectionLease(name, entry.version, 1, taken.epoch, SERVING, entry.position)
