"""Work that several nodes share by leases: one beat for every service, and the statements that all leases have.

A thing has one owner at a time. Its lease ends by the clock of the database, and each change of hands raises its
epoch: a node that fell silent and comes back moves nothing any more. A node's share is the number of things divided
by the nodes that are there. Each beat: say that we are here, renew what is ours, give back what is more than our
share, take what is free.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

NameT = TypeVar("NameT", bound=Hashable)
NameT_contra = TypeVar("NameT_contra", bound=Hashable, contravariant=True)
LeaseT = TypeVar("LeaseT")
ReportT = TypeVar("ReportT")
ReportT_contra = TypeVar("ReportT_contra", contravariant=True)
ReportT_co = TypeVar("ReportT_co", covariant=True)


class LeaseLedger(Protocol[NameT, LeaseT, ReportT_contra]):
    """The owners of things. An adapter documents its errors for a database that is away."""

    async def attend(self, node: str) -> int:
        """Note that this node is here. Returns how many things are its share."""
        ...

    async def renew(self, node: str, reports: Sequence[ReportT_contra]) -> set[NameT]:
        """Hold the leases on, and note how each thing fares. Returns the names still owned."""
        ...

    async def claim(self, node: str, room: int) -> list[LeaseT]:
        """Own what nobody owns any more: so many at most, but for what nobody else takes."""
        ...

    async def release(self, node: str, leases: Sequence[LeaseT]) -> None:
        """Give leases back, so that others need not wait for their end."""
        ...

    async def leave(self, node: str) -> None:
        """Note that this node works no more: the others' shares grow."""
        ...


class SharedWork(Protocol[NameT_contra, ReportT_co]):
    """The node's own side of its leases."""

    def reports(self) -> Sequence[ReportT_co]:
        """Report on each thing that is held."""
        ...

    async def lost(self, name: NameT_contra) -> None:
        """End the work on a thing that is another's now."""
        ...

    async def finish(self, name: NameT_contra) -> bool:
        """Bring the work on a thing to its end. Returns False while something of it still runs."""
        ...


class LeaseKeeper(Generic[NameT, LeaseT, ReportT]):
    """The leases of one node. `held` has them by name; `surplus` names those that are to be given back."""

    def __init__(
        self,
        ledger: LeaseLedger[NameT, LeaseT, ReportT],
        work: SharedWork[NameT, ReportT],
        node: str,
        name_of: Callable[[LeaseT], NameT],
    ) -> None:
        self.held: dict[NameT, LeaseT] = {}
        self.surplus: set[NameT] = set()
        self._ledger = ledger
        self._work = work
        self._node = node
        self._name_of = name_of

    async def beat(self) -> list[LeaseT]:
        """Renew, balance and claim. Returns the leases that are new. Raises what the ledger raises."""
        share = await self._ledger.attend(self._node)
        kept = await self._ledger.renew(self._node, self._work.reports())
        for name in [name for name in self.held if name not in kept]:
            del self.held[name]
            await self._work.lost(name)
        await self._balance(share)
        taken = await self._ledger.claim(self._node, max(0, share - len(self.held)))
        self.held |= {self._name_of(lease): lease for lease in taken}
        return taken

    async def give_back(self, *names: NameT) -> None:
        """Hold these no longer, whose work has ended. A lease that cannot be given back ends by itself."""
        if names:
            await self._ledger.release(self._node, [self.held.pop(name) for name in names])

    async def leave(self) -> None:
        """Give everything back, and take part no more."""
        await self._ledger.release(self._node, list(self.held.values()))
        await self._ledger.leave(self._node)

    async def _balance(self, share: int) -> None:
        names = list(self.held)[share:]
        self.surplus = set(names)
        await self.give_back(*[name for name in names if await self._work.finish(name)])


class LeaseStatements(NamedTuple):
    """The SQL of leases over a table of things (`owner`, `owner_epoch`, `lease_until`) and one of nodes."""

    present: str
    """Parameters: node, seconds."""
    forget: str
    """Parameter: node. Nodes that left without notice are removed, too."""
    alive: str
    """An expression: how many nodes are there, one at least."""
    release: str
    """Parameters: node, an array for each column of the key, an array of epochs."""
    mine: str
    """A condition: the row `held` is of the owner `$1`, as the row `given` names key and epoch."""


def lease_statements(things: str, nodes: str, key: Mapping[str, str]) -> LeaseStatements:
    """The statements of one table. `key` has the columns that name a thing, with their types."""
    columns = [*key, "owner_epoch"]
    mine = " AND ".join(f"held.{column} = given.{column}" for column in columns) + " AND held.owner = $1"
    arrays = ", ".join(f"${number}::{kind}[]" for number, kind in enumerate([*key.values(), "bigint"], 2))
    return LeaseStatements(
        present=f"""
INSERT INTO {nodes} (node, lease_until) VALUES ($1, now() + make_interval(secs => $2))
ON CONFLICT (node) DO UPDATE SET lease_until = EXCLUDED.lease_until
""",  # noqa: S608 - names that the code gives
        forget=f"DELETE FROM {nodes} WHERE node = $1 OR lease_until < now()",  # noqa: S608
        alive=f"greatest(1, (SELECT count(*) FROM {nodes} WHERE lease_until >= now()))",  # noqa: S608
        release=f"""
UPDATE {things} AS held SET owner = NULL, lease_until = NULL
FROM unnest({arrays}) AS given({", ".join(columns)}) WHERE {mine}
""",  # noqa: S608
        mine=mine,
    )


def lease_columns(leases: Sequence[Any], *fields: str) -> list[list[Any]]:
    """Leases as the arrays of a statement: a column for each field, the last of them the epoch."""
    return [[getattr(lease, field) for lease in leases] for field in (*fields, "epoch")]
