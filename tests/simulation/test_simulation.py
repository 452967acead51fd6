"""Every seed is a storm of its own, and no promise is broken in any of them.

More seeds: `python -m tests.simulation --seeds 10000`. One of them again: `python -m tests.simulation --seed N`.
"""

import asyncio
import itertools
from collections import Counter
from dataclasses import replace

import pytest
from mpkernel.adapters.memory import MemoryCommands
from mpkernel.ports import IntakeUnavailable
from mpstore.readmodels import ProjectionLease, ReadModel
from mpstore.readmodels.memory import MemoryLedger, MemoryReadModel
from mpviews.changes import View
from mpviews.fold import Batch
from mpviews.rows import apply

from tests.simulation import virtual_time
from tests.simulation.running import simulate
from tests.simulation.world import PROJECTION_LEASE_SECONDS, World

SEEDS = 150
RARE = 163
"""A seed in which a message is refused as a whole."""
DUE_MEANWHILE = 60_150
"""A seed in which a timer becomes due while a line that kills is being stored by itself."""


@pytest.mark.parametrize("seed", [*range(SEEDS), DUE_MEANWHILE])
def test_no_promise_is_broken(seed: int) -> None:
    simulate(seed)


def test_who_does_something_for_ever_in_one_moment_is_found() -> None:
    async def spins() -> None:
        for _ in itertools.count():
            await asyncio.sleep(0)

    with pytest.raises(virtual_time.Livelock, match="nothing waits"):
        virtual_time.run(spins())


def test_a_seed_is_the_same_storm_every_time() -> None:
    first, again = simulate(7), simulate(7)
    assert first.history == again.history
    assert first.faults == again.faults


def test_the_storms_are_storms() -> None:
    faults: Counter[str] = sum((simulate(seed).faults for seed in (*range(40), RARE)), Counter())
    on_the_log = {"crash before the write", "crash after the write", "write lost", "acknowledgement lost"}
    on_the_way = {
        "answer lost",
        "answer doubled",
        "command doubled",
        "slept",
        "clock set",
        "clock wrong",
        "leases forgotten",
    }
    on_the_rows = {"crash before the rows", "crash after the rows", "rows lost", "word of the rows lost"}
    ahead = {"stored late", "message refused", "deaf", "decided ahead", "undone"}
    assert on_the_log | on_the_way | on_the_rows | ahead | {
        "database forgot",
        "asked to go",
        "killed by a line",
        "decision raised",
        "flooded with repeats",
        "garbage delivered",
        "founded before",
        "message split",
        "decision too large",
        "swept",
        "message too large",
        "level raised",
    } <= set(faults)


def test_a_store_that_lets_every_owner_write_is_found_out() -> None:
    """The storms must be able to fail: here, without the fence that keeps read models whole."""
    with pytest.raises(AssertionError, match=r"went back|folds to|already"):
        _storms_without_a_fence()


def test_a_command_stream_that_is_away_does_not_fill_the_log_with_elections() -> None:
    assert 2 < simulate(1, FrozenWorld).epochs < 50


class FrozenCommands(MemoryCommands):
    """A command stream that answers nothing for a while, as on a full disk."""

    until_seconds = 30

    def purge(self, consumed: int) -> None:
        if asyncio.get_running_loop().time() < self.until_seconds:
            raise IntakeUnavailable("frozen")
        super().purge(consumed)


class FrozenWorld(World):
    """Calm but for its command stream."""

    def __post_init__(self) -> None:
        self.commands = FrozenCommands()
        super().__post_init__()

    def _intensity(self) -> float:
        return 0.0


def _storms_without_a_fence() -> None:
    for seed in range(40):
        simulate(seed, UnfencedWorld)


class UnfencedModel(MemoryReadModel):
    """Writes for whoever asks, from wherever."""

    async def write(self, batch: Batch) -> None:
        entry = self._store.entries[self._lease.name]
        self._store.rows = apply(self._store.rows, batch)
        self._store.entries[self._lease.name] = replace(entry, position=batch.position)


class UnfencedLedger(MemoryLedger):
    """Opens read models without a fence."""

    async def open(self, lease: ProjectionLease, view: View) -> ReadModel:
        return UnfencedModel(self._store, lease)


class UnfencedWorld(World):
    """A world whose database has no fence."""

    def _ledger(self) -> MemoryLedger:
        return UnfencedLedger(self.store, self._now, lease_seconds=PROJECTION_LEASE_SECONDS)
