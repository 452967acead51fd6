"""The way back: what was decided and is not to stand is undone event by event.

That is what was decided ahead of being stored, and then was not stored next; a line whose decision failed; and a
message that finds no room in the commit it was begun in.
"""

from operator import attrgetter
from typing import Any

from mpschema.envelope import EventRecord

from mpcore.engine.evolve import undo
from mpcore.engine.shard import Shard
from mpcore.state.world import PLACE

_place_of = attrgetter(*PLACE)


class Undo:
    """Remembers how a shard is now, and what each event that is folded from here on replaced. States never change.

    What was folded before has no way back any more.
    """

    __slots__ = ("_begun_at", "_consumed", "_place", "_shard", "_standing", "replaced")

    def __init__(self, shard: Shard) -> None:
        shard.settle()
        world = shard.world
        self._shard = shard
        self._consumed = shard.command_position, shard.command_line
        self._place = _place_of(world)
        self._begun_at = world.seq, world.epoch, world.time_ms
        self._standing = 0
        """The number of events that are never rolled back."""
        self.replaced: list[tuple[EventRecord, Any]] = []
        """Each event that was folded since, and what it replaced (`apply` says what)."""

    def stand(self) -> None:
        """Let everything stand that was folded. What is kept for a way back takes fresh memory, and so costs time."""
        if self.replaced:
            last = self.replaced[-1][0]
            self._begun_at = last.seq, last.epoch, last.time_ms
            self._standing += len(self.replaced)
            self.replaced.clear()

    def run(self) -> None:
        """Put everything back as it was in the beginning."""
        self.run_to(0)
        world, shard = self._shard.world, self._shard
        for name, value in zip(PLACE, self._place, strict=True):
            setattr(world, name, value)
        shard.command_position, shard.command_line = self._consumed

    def run_to(self, events: int) -> None:
        """Put back what was folded, newest first, until so many events are left. Nothing was consumed since then."""
        world, shard = self._shard.world, self._shard
        kept = events - self._standing
        if kept < 0:
            raise RuntimeError(f"{self._standing} events stand: there is no way back to {events}")
        while len(self.replaced) > kept:
            record, before = self.replaced.pop()
            undo(world, record, before)
            shard.take_back(record)
        if self.replaced:
            last = self.replaced[-1][0]
            world.seq, world.epoch, world.time_ms = last.seq, last.epoch, last.time_ms
        else:
            world.seq, world.epoch, world.time_ms = self._begun_at
