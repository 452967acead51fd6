"""The projector's side of the world: its ports behind faults, and a reader who looks after every write.

The reader holds each projection against the log folded one commit at a time. Whatever was batched, interrupted, begun
again or done by two owners: rows are those of their position, and a position never goes back, unless the database
itself forgot.
"""

from collections import Counter
from collections.abc import Sequence

from mpbus.reader import GENESIS, Commit
from mpstore.readmodels import ProjectionLease, ProjectionStatus, ProjectionsUnavailable, ReadModel
from mpstore.readmodels.memory import MemoryLedger, MemoryStore
from mpviews import VIEWS
from mpviews.changes import View
from mpviews.fold import Batch, fold
from mpviews.rows import Rows, apply

from tests.simulation.node import Node


class Reader:
    """Reads every projection after every write, and remembers what it saw."""

    def __init__(self, store: MemoryStore, commits: Sequence[Commit], faults: Counter[str]) -> None:
        self._store = store
        self._commits = commits
        self._faults = faults
        self.broken: list[str] = []
        """Observations that must not be. Noted, not raised: a worker would take it for a refusal of the database."""
        self._seen = dict.fromkeys(VIEWS, 0)
        self._folded: dict[str, list[Rows]] = {name: [apply({}, Batch(view, GENESIS))] for name, view in VIEWS.items()}
        self._saved = store.rows, dict(store.entries)

    def look(self, name: str) -> None:
        """At one projection: its rows are those of its position, which has not gone back."""
        at = self._store.entries[name].position.stream_seq
        if at < self._seen[name]:
            self.broken.append(f"{name} went back from {self._seen[name]} to {at}")
        self._seen[name] = at
        for table, rows in self._at(name, at).items():
            if self._store.rows.get(table, {}) != rows:
                self.broken.append(f"{table} is not what {name} folds to at {at}")

    def remember(self) -> None:
        """The database writes its memory to disk."""
        self._saved = self._store.rows, dict(self._store.entries)

    def forget(self) -> None:
        """The database crashes and comes back as it last was on disk: rows, positions and owners alike."""
        self._faults["database forgot"] += 1
        self._store.rows, entries = self._saved
        self._store.entries = dict(entries)
        for name, entry in entries.items():
            self._seen[name] = entry.position.stream_seq
            self.look(name)

    def _at(self, name: str, stream_seq: int) -> Rows:
        """Return the rows of a view's tables after a commit, folded one by one."""
        folded = self._folded[name]
        while len(folded) <= stream_seq:
            place = len(folded) - 1
            after = self._commits[place - 1].position if place else GENESIS
            folded.append(apply(folded[-1], fold(VIEWS[name], after, [self._commits[place]])))
        return folded[stream_seq]


class FaultyModel:
    """Read models whose writes may be cut off on either side."""

    def __init__(self, model: ReadModel, name: str, reader: Reader, node: Node) -> None:
        self._model = model
        self._name = name
        self._reader = reader
        self._node = node

    async def write(self, batch: Batch) -> None:
        """See `ReadModel`."""
        node = self._node
        await node.lag()
        if node.happens("crash before the rows", 0.01):
            node.crash()
        if node.happens("rows lost", 0.02):
            raise ProjectionsUnavailable("the rows were lost")
        await self._model.write(batch)
        self._reader.look(self._name)
        if node.happens("crash after the rows", 0.01):
            node.crash()
        await node.lag()
        if node.happens("word of the rows lost", 0.02):
            raise ProjectionsUnavailable("the answer was lost")

    async def close(self) -> None:
        """See `ReadModel`."""
        await self._model.close()


class FaultyLedger:
    """A ledger that may be away, before or after it did what it was asked."""

    def __init__(self, ledger: MemoryLedger, node: Node, reader: Reader) -> None:
        self._ledger = ledger
        self._reader = reader
        self._node = node

    async def register(self, views: Sequence[View]) -> None:
        """See `ProjectionLedger`."""
        await self._reach()
        await self._ledger.register(views)

    async def strangers(self) -> dict[str, int]:
        """See `ProjectionLedger`."""
        return await self._ledger.strangers()

    async def claim(self, node: str, room: int) -> list[ProjectionLease]:
        """See `ProjectionLedger`. What is claimed and not heard of runs out."""
        await self._reach()
        leases = await self._ledger.claim(node, room)
        await self._answer()
        return leases

    async def renew(self, node: str, reports: Sequence[ProjectionStatus]) -> set[str]:
        """See `ProjectionLedger`."""
        await self._reach()
        owned = await self._ledger.renew(node, reports)
        await self._answer()
        return owned

    async def release(self, node: str, leases: Sequence[ProjectionLease]) -> None:
        """See `ProjectionLedger`."""
        await self._reach()
        await self._ledger.release(node, leases)
        await self._answer()

    async def attend(self, node: str) -> int:
        """See `ProjectionLedger`."""
        return await self._ledger.attend(node)

    async def leave(self, node: str) -> None:
        """See `ProjectionLedger`."""
        await self._reach()
        await self._ledger.leave(node)

    async def open(self, lease: ProjectionLease, view: View) -> ReadModel:
        """See `ProjectionLedger`."""
        return FaultyModel(await self._ledger.open(lease, view), view.name, self._reader, self._node)

    async def close(self) -> None:
        """See `ProjectionLedger`."""
        await self._ledger.close()

    async def _reach(self) -> None:
        await self._node.lag()
        if self._node.happens("database away", 0.02):
            raise ProjectionsUnavailable("away")

    async def _answer(self) -> None:
        await self._node.lag()
        if self._node.happens("database away after all", 0.02):
            raise ProjectionsUnavailable("away after all")
