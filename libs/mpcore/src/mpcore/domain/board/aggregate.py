"""Columns over task states, and the limit on how many tasks a column may hold."""

from mpcore.domain.board.evolve import EVOLVE
from mpcore.domain.board.rules import RULES
from mpcore.domain.board.state import Board
from mpcore.state.descriptor import Aggregate

AGGREGATE = Aggregate(
    name="board",
    about=__doc__,
    state=Board,
    rules=RULES,
    evolve=EVOLVE,
)
