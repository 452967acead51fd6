"""The whole state of one shard: the world of aggregates, the outcomes, and how far both logs are consumed."""

from typing import Any

from mpschema.envelope import CommitHeader, EventRecord

from mpcore.domain.aggregates import new_world
from mpcore.engine.evolve import apply
from mpcore.engine.outcomes import Outcomes
from mpcore.state.world import World


class Shard:
    """What a kernel knows. Folding the same commits gives the same shard, on every replica."""

    __slots__ = ("command_line", "command_position", "outcomes", "world")

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

    def fold(self, header: CommitHeader, records: list[EventRecord]) -> None:
        """Take in one commit of the log. Never refuses a fact."""
        for record in records:
            self.fold_record(record)
        self.consume(header.command_position, header.command_line)

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
        replaced = apply(self.world, record)
        if record.digest is not None:
            self.outcomes.add(record, self.world.feature_level)
        return replaced
