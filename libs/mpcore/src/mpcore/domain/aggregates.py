"""The only list of aggregates: states, snapshots, rights, timers and documents derive from it."""

from collections.abc import Mapping

from mpschema.registry import COMMANDS

from mpcore.domain.board.aggregate import BOARD
from mpcore.domain.channel.aggregate import CHANNEL
from mpcore.domain.principal.aggregate import PRINCIPAL
from mpcore.domain.project.aggregate import PROJECT
from mpcore.domain.session.aggregate import SESSION
from mpcore.domain.task.aggregate import TASK
from mpcore.domain.webhook.aggregate import WEBHOOK
from mpcore.domain.workspace.aggregate import WORKSPACE
from mpcore.state.descriptor import Aggregate
from mpcore.state.rules import Rule
from mpcore.state.tenant import Indexes
from mpcore.state.world import World

AGGREGATES: tuple[Aggregate, ...] = (WORKSPACE, PRINCIPAL, PROJECT, BOARD, TASK, SESSION, CHANNEL, WEBHOOK)
"""In the order of snapshots, which is that in which they came to be."""
BY_NAME: Mapping[str, Aggregate] = {aggregate.name: aggregate for aggregate in AGGREGATES}
RULES: Mapping[str, Rule] = {kind: BY_NAME[spec.aggregate].rules[spec.arguments] for kind, spec in COMMANDS.items()}
"""The rule of each command, by its type."""
INDEXES: Indexes = {aggregate.name: aggregate.index for aggregate in AGGREGATES}


def new_world(operators: frozenset[str] = frozenset()) -> World:
    """A shard of which nothing is recorded yet."""
    return World(INDEXES, operators)
