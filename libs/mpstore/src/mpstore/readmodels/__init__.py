"""The ports of read models with their promises, and their errors.

ProjectorError
├── ProjectionsUnavailable  the database did not answer, or not us, or has no tables for us yet; trying again is safe
├── OwnershipLost           another projector owns the projection now: stop writing it
└── NotWritable             the database refuses the rows (a row that is there already, or is not there)
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from mpbus.reader import LogPosition
from mpservice.sharing import LeaseLedger
from mpviews.changes import CommitLike, View
from mpviews.fold import Batch


class ProjectorError(Exception):
    """The root of what the world does to a projector."""


class ProjectionsUnavailable(ProjectorError):
    """The database did not answer. The write may have happened: the position shows it."""


class OwnershipLost(ProjectorError):
    """The fence: this owner's epoch is not the projection's any more."""


class NotWritable(ProjectorError):
    """The database refuses the rows: the projection halts."""


SERVING = "mp"
"""The schema whose tables answer queries."""


@dataclass(frozen=True, slots=True)
class ProjectionLease:
    """One build of a projection, owned: nobody else writes it while `epoch` stands."""

    name: str
    version: int
    build: int
    epoch: int
    tables: str
    """The schema that holds the build's tables."""
    position: LogPosition

    @property
    def serving(self) -> bool:
        """True where queries are answered from it."""
        return self.tables == SERVING

    @property
    def title(self) -> str:
        """The name of the build: the projection's if it serves, else with its number."""
        return self.name if self.serving else f"{self.name}@{self.build}"


@dataclass(frozen=True, slots=True)
class ProjectionStatus:
    """The state of one owned projection, for whoever watches."""

    lease: ProjectionLease
    state: str
    """`live`, `catching_up` or `halted`."""
    error: str | None
    head: int
    lag_seconds: float
    rate: float
    """Events folded in a second, lately."""


class LogSource(Protocol):
    """The log, verified (`mpbus.reader.LogReader` is one)."""

    def follow(self, after: LogPosition) -> AsyncIterator[Sequence[CommitLike]]:
        """Commits after a position, gapless and in order, for ever.

        Raises `mpbus.errors.ChainBroken` or `mpschema.codec.MalformedCommit`.
        """
        ...

    async def head(self) -> LogPosition:
        """The place after the newest commit."""
        ...


class ReadModel(Protocol):
    """The tables of one owned projection."""

    async def write(self, batch: Batch) -> None:
        """All rows of the batch and the position after it, or nothing.

        Done once it returns; a batch that was written before, by this owner, is not written again. Raises
        `OwnershipLost`, `NotWritable`, `CannotApply`, `ProjectionsUnavailable`.
        """
        ...

    async def close(self) -> None:
        """Let go of the connection."""
        ...


class ProjectionLedger(LeaseLedger[str, ProjectionLease, ProjectionStatus], Protocol):
    """The projections, and the leases on them by title. Every method raises `ProjectionsUnavailable`.

    `claim` cuts silent owners off first. Beyond its room it takes what was nobody's for a while: others may not know
    its version.
    """

    async def register(self, views: Sequence[View]) -> None:
        """Register the views that this node folds. Raises `ProjectionsUnavailable` while one of them has no tables."""
        ...

    async def strangers(self) -> dict[str, int]:
        """Projections whose serving build is of a version this node does not fold, with that version."""
        ...

    async def open(self, lease: ProjectionLease, view: View) -> ReadModel:
        """The projection's tables, for their owner."""
        ...

    async def close(self) -> None:
        """Let go of the connection."""
        ...
