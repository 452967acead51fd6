"""The quarantine: where leaders come no further, lines are decided one by one, and what ends every process is refused.

A line that kills its kernel is met again by the next one, and by all after it. So a leader that finds the consumed
position where two elections before left it goes line by line over what may have killed them. It stores `LineTried`
before it decides a line. Three starts of a kernel that tried a line and were not heard of again are proof enough: the
fourth only reads whose line it is, and refuses it; should that kill, too, the next refuses it unread.

Elections have other causes. A leader that lives stores the outcome of the line it tried, also when it is asked to stop;
one that could not says in its next election that it survived, and its try counts no more.
"""

from mpcore.engine.shard import Shard
from mpcore.engine.turn import Turn
from mpcore.state.facts import Try
from mpschema.rejections import Code, Rejection
from mpschema.system import LineSurvived, LineTried

from mpkernel.ports import CommandMessage

ELECTIONS_BEFORE = 2
"""Elections that moved the consumed position nowhere, before the leader of the next goes line by line."""
TRIES = 3
LINES_MAX = 2_000
"""More than two turns hold: whatever killed a leader was among so many lines."""


class Quarantine:
    """Knows whether a leader goes line by line, and how the next line is to be met."""

    def __init__(self, shard: Shard, process: str) -> None:
        self._shard = shard
        self._process = process
        self._until = 0
        self._lines = 0
        self.open = False

    def survived(self) -> LineSurvived | None:
        """Return the record that this process survived a line it tried; None where it tried none."""
        own = [each for each in self._shard.world.tries if each.process == self._process]
        return LineSurvived(own[-1].position, own[-1].line, self._process) if own else None

    def begin(self, last: int) -> None:
        """Begin after the election. `last` is the last position that the command stream gave out before it."""
        world = self._shard.world  # It counts such elections from the level on at which lines are tried.
        stuck = world.unmoved_elections > ELECTIONS_BEFORE or bool(world.tries)
        self.open = stuck and last > self._shard.command_position
        self._until = last

    def covers(self, message: CommandMessage) -> bool:
        """Tell whether a message may be the one that killed; else end the quarantine."""
        self.open = self.open and message.position <= self._until and self._lines < LINES_MAX
        return self.open

    def trial(self, message: CommandMessage) -> tuple[LineTried, tuple[Try, ...]]:
        """Return the record to store before a message's next line is decided, and the tries before it."""
        shard, before = self._shard, message.position - 1
        shard.consume(before, shard.command_line if before == shard.command_position else 0)
        self._lines += 1
        return LineTried(message.position, shard.command_line, self._process), shard.world.tries


def decide_tried(turn: Turn, message: CommandMessage, tried: LineTried, tries: tuple[Try, ...]) -> tuple[bool, bool]:
    """Decide one line, or refuse it after too many tries.

    Returns whether it was the last of its message, and whether it was refused for its tries.
    """
    processes = {each.process for each in tries} - {tried.process}
    if len(processes) < TRIES:
        return turn.take(message.position, message.reply_to, message.data, message.sender), False
    what = f"line {tried.line} of message {message.position}"
    why = f"{what} ended {len(processes)} processes of the kernel that tried it: nothing of it happened, nor will"
    rejection = Rejection(Code.UNDECIDABLE, why)
    read = len(processes) == TRIES
    return turn.pass_over(message.position, message.reply_to, message.data, message.sender, rejection, read=read), True
