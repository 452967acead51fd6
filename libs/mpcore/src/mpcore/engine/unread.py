"""The end of lines that nobody can read: at most one refusal of a message and turn is recorded, of a service's none.

Who sends a message chooses what is in it and where its answers go, so neither may decide what the log must hold of it.
A producer of ours sends nothing of the kind: what is not recorded is counted, and told by who sent it.
"""

from dataclasses import dataclass, field

from mpschema.levels import PACKS_LEVEL
from mpschema.packs import PACK_COMMANDS_MAX
from mpschema.rejections import Rejection
from mpschema.system import SYSTEM_WORKSPACE, CommandRejected

from mpcore.engine.commit import PendingCommit
from mpcore.engine.recorder import KERNEL
from mpcore.state.facts import Fact

UNREADABLE_BYTES = 512
"""The most bytes that the record of an unreadable line takes, beside the reason."""
NOBODY = ""
"""The sender of what no service sent."""
FEW_LINES = 8
"""After more that nobody can read, the rest of a message of a service, or for which nobody waits, is not looked at."""


@dataclass(slots=True)
class Unread(PendingCommit):
    """A commit in the making, and what was met on the way to it that is not to be read."""

    dropped: dict[str, int] = field(default_factory=dict, init=False)
    """Lines that left no trace, and messages that were not read, by the service that sent them."""
    _unread_of: int = field(default=0, init=False)
    """The last message of which something could not be read."""
    _unread: int = field(default=0, init=False)
    """The number of its lines."""

    @property
    def bounded(self) -> bool:
        """True where the log is at the level from which unreadable lines are bounded."""
        return self.shard.world.feature_level >= PACKS_LEVEL

    def unread(self, position: int, index: int, why: Rejection, reply_to: str, sender: str) -> bool:
        """Record what of a message cannot be read, or drop it. Returns whether nobody is to look at the rest of it.

        Where nobody waits for an answer no producer sent it: what the log held of it could be sent on to us, and so
        again without end. More such lines than a pack holds are in no pack. A gateway's is read to its end: many
        callers' lines are together there.
        """
        self._unread = self._unread + 1 if self._unread_of == position else 1
        self._unread_of = position
        if not reply_to or (self.bounded and (sender or self._unread > 1)):
            self.drop(sender)
        else:
            self.unreadable(position, index, why)
        return self.bounded and self._unread > (FEW_LINES if sender or not reply_to else PACK_COMMANDS_MAX)

    def drop(self, sender: str, lines: int = 1) -> None:
        """Count what leaves no trace."""
        self.dropped[sender] = self.dropped.get(sender, 0) + lines

    def unreadable(self, position: int, index: int, why: Rejection) -> None:
        """Record the refusal of a line whose key cannot be read."""
        command_id = f"unreadable_{position}_{index}"
        why = why.as_of(self.shard.world.feature_level)
        event = CommandRejected(code=why.code, detail=why.detail[:2_000], command_type="")
        self.refused(len(event.detail.encode()) + UNREADABLE_BYTES)
        self.record(Fact("command", command_id, event), SYSTEM_WORKSPACE, f"{command_id}:0", KERNEL)
