"""The way back: what was decided ahead of being stored, and then was not stored next, is undone event by event."""

from typing import Any

from mpschema.envelope import EventRecord

from mpkernel.core.evolve import undo
from mpkernel.core.shard import Shard
from mpkernel.core.world import PLACE


class Undo:
    """Remembers how a shard is now, and what each event that is folded from here on replaced. States never change."""

    __slots__ = ("_consumed", "_outcomes", "_place", "_replaced", "_shard")

    def __init__(self, shard: Shard) -> None:
        self._shard = shard
        self._consumed = shard.command_position, shard.command_line
        self._outcomes = len(shard.outcomes)
        self._place = [getattr(shard.world, name) for name in PLACE]
        self._replaced: list[tuple[EventRecord, Any]] = []

    def folded(self, record: EventRecord, replaced: Any) -> None:
        """This event was folded, and replaced this state (`apply` says which)."""
        self._replaced.append((record, replaced))

    def run(self) -> None:
        """Put everything back, newest first."""
        world = self._shard.world
        for record, before in reversed(self._replaced):
            undo(world, record, before)
        for name, value in zip(PLACE, self._place, strict=True):
            setattr(world, name, value)
        self._shard.outcomes.forget_newest(self._outcomes)
        self._shard.command_position, self._shard.command_line = self._consumed
