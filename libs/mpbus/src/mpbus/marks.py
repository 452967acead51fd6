"""The mark of a log that is being put back: how far it goes once it is whole.

Half a log verifies, and looks like a log. So whoever puts one back writes down first where it will end. The mark is
kept beside the leader's lease, where it outlives the log. Until the log reaches that place no kernel leads on it, and
no gateway takes its end for the end of what was recorded.
"""

import platform

import msgspec
from mpschema import subjects
from nats.aio.client import Client

from mpbus.errors import NoLog
from mpbus.reader import LogPosition, asked
from mpbus.streams import LEASE_STREAM


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """The end of the copy that a log is put back from, and the command that goes on with it."""

    command: str
    """The command that goes on with it, typed on `host`."""
    host: str = msgspec.field(default_factory=platform.node)
    digest: str = ""
    """SHA-256 of the copy's manifest; empty where it is no folder."""
    stream_seq: int
    seq: int
    hash: str
    epoch: int = 0
    """The last epoch known of the former log; 0 where none is."""

    @property
    def end(self) -> LogPosition:
        """The place where the copy ends."""
        return LogPosition(self.stream_seq, self.seq, self.hash)

    def told(self) -> str:
        """Return the command that goes on with it, and its host."""
        return self.command + (f" (on {self.host})" if self.host != platform.node() else "")

    def lacking(self, head: LogPosition) -> str:
        """Return a sentence if a log that ends at `head` is not whole yet; empty if it is."""
        if head.stream_seq >= self.stream_seq:
            return ""
        return f"the log is being put back: it ends with event {head.seq} of {self.seq}. Go on with `{self.told()}`"


def mark_subject(shard: str) -> str:
    """The subject that holds a shard's mark."""
    return subjects.lease_subject(f"mending-{shard}")


async def read_mark(nc: Client, shard: str) -> Mark | None:
    """The mark of a log that is being put back, or may be whole; None where there is none.

    Raises what is in `mpbus.errors.LOG_AWAY`.
    """
    try:
        with asked():
            found = await nc.jetstream(timeout=5).get_last_msg(LEASE_STREAM, mark_subject(shard))
        return msgspec.json.decode(found.data or b"", type=Mark)
    except (NoLog, msgspec.DecodeError):
        return None


async def lacking(nc: Client, shard: str, head: LogPosition) -> str:
    """A sentence where a shard's log, which ends at `head`, is being put back and is not whole yet. Raises as above."""
    mark = await read_mark(nc, shard)
    return mark.lacking(head) if mark else ""
