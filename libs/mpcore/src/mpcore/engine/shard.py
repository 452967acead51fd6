"""The whole state of one shard: the world of aggregates, the outcomes, and how far both logs are consumed."""

from collections import deque
from typing import Any

from mpschema.envelope import CommitHeader, EventRecord
from mpschema.levels import HOUSE_LEVEL
from mpschema.system import FeatureLevelRaised

from mpcore.domain.aggregates import AGGREGATES, BY_NAME, new_world
from mpcore.engine.evolve import apply
from mpcore.engine.marks import BEGINNING, HourMark
from mpcore.engine.outcomes import Outcomes
from mpcore.state.world import World

PACKED = 1_024
"""Finished states that are packed in one go, in a few milliseconds."""
_FINISHING = frozenset(event for aggregate in AGGREGATES for event in aggregate.finishing) | {FeatureLevelRaised}
"""The events after which there is something to pack, or from which on."""


class Shard:
    """The state of a kernel. Folding the same commits gives the same shard, on every replica."""

    __slots__ = ("_finishing", "command_line", "command_position", "outcomes", "world")

    def __init__(
        self,
        world: World | None = None,
        outcomes: Outcomes | None = None,
        command_position: int = 0,
        command_line: int = 0,
    ) -> None:
        self.world = new_world() if world is None else world
        self.outcomes = Outcomes() if outcomes is None else outcomes
        self.command_position = command_position
        """Up to here the command stream is consumed."""
        self.command_line = command_line
        """And so many lines of the message at the next position."""
        self._finishing: deque[tuple[str, str, str]] = deque()
        """The states that may have finished and are not packed yet: workspace, aggregate and id."""

    def fold(self, header: CommitHeader, records: list[EventRecord]) -> None:
        """Take in one commit of the log. Never refuses a fact."""
        for record in records:
            self.fold_record(record)
        self.consume(header.command_position, header.command_line)
        self.settle()

    def consume(self, position: int, line: int = 0) -> None:
        """Say how far the command stream is consumed. What was tried before it is past."""
        world = self.world
        if world.unmoved_elections and (position, line) != (self.command_position, self.command_line):
            world.unmoved_elections = 0
        if world.tries:
            world.tries = tuple(each for each in world.tries if (each.position, each.line) == (position + 1, line))
        self.command_position = position
        self.command_line = line

    def fold_record(self, record: EventRecord) -> Any:
        """Take in one event. Returns the state that it replaced, None if there was none."""
        world = self.world
        before = world.feature_level
        replaced = apply(world, record)
        if record.digest is not None:
            self.outcomes.add(record, world.feature_level, world.limits.outcome_days)
        if type(record.data) in _FINISHING:
            if type(record.data) is not FeatureLevelRaised:
                self._finishing.append((record.workspace_id, record.aggregate, record.aggregate_id))
            elif before < HOUSE_LEVEL <= world.feature_level:
                self.outcomes.begin(HourMark(record.time_ms, record.seq))
        return replaced

    def take_back(self, record: EventRecord) -> None:
        """Take back what the newest event made of the outcomes; the world is before it already."""
        if record.digest is not None:
            self.outcomes.forget(record)
        if type(record.data) is FeatureLevelRaised and self.world.feature_level < HOUSE_LEVEL:
            self.outcomes.begin(BEGINNING)

    def settle(self) -> None:
        """Pack a bounded part of what is old or finished. Nothing that was folded so far will be rolled back."""
        if self.world.feature_level < HOUSE_LEVEL:
            self._finishing.clear()
            return
        self.outcomes.settle()
        for _ in range(min(PACKED, len(self._finishing))):
            self._pack(*self._finishing.popleft())

    def settle_all(self) -> None:
        """Pack whatever has finished, as `settle` does, without a bound."""
        for tenant in self.world.tenants.values():
            for aggregate, index in tenant.indexes.items():
                index.by_id.pack_all(BY_NAME[aggregate].finished)

    def _pack(self, workspace_id: str, aggregate: str, aggregate_id: str) -> None:
        tenant = self.world.tenants.get(workspace_id)
        states = None if tenant is None else tenant.indexes[aggregate].by_id
        state = None if states is None else states.get(aggregate_id)
        if states is not None and state is not None and state.state in BY_NAME[aggregate].finished:
            states.pack(aggregate_id)
