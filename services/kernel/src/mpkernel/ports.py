"""What the kernel asks of the world: small protocols with their promises. Each has a contract suite in the tests."""

from dataclasses import dataclass
from typing import ClassVar, Protocol

from mpbus.errors import HaltCode
from mpbus.reader import LogPosition


class Deposed(Exception):
    """Somebody else wrote to the log: this kernel leads no more, whatever its lease says."""


class Unknown(Exception):
    """Whether a write was stored could not be learned in time. The state built on it must go."""


@dataclass(frozen=True, slots=True)
class CommandMessage:
    """One message of the command stream: its position, who wants the answers, and the packed command lines.

    `sender` is the principal that the subject names, for a service; empty for a gateway, whose messages name theirs.
    """

    position: int
    reply_to: str
    data: bytes
    sender: str = ""


class CommandsRenumbered(Exception):
    """The command stream was made anew: its positions are lower than the log's, and what waits would pass for consumed.

    Nobody but an operator can say whether what waits there may go.
    """

    halt: ClassVar = HaltCode.COMMANDS_RENUMBERED

    def __init__(self, stream: str, last: int, consumed: int, waiting: int) -> None:
        anew = f"{stream} was made anew: it ends at position {last}, and the log has consumed up to {consumed}"
        mend = f"purge it up to position {consumed}, as context/operations/readiness.md says"
        super().__init__(f"{anew}, so {waiting} messages that wait would pass for consumed: {mend}")


class IntakeUnavailable(Exception):
    """The command stream does not answer. What is consumed stands in the log all the same."""


class Clock(Protocol):
    """The two clocks of this machine: one that people set, and one that only runs."""

    def wall_ns(self) -> int:
        """Nanoseconds since the Unix epoch. May step either way at any moment."""
        ...

    def steady_ns(self) -> int:
        """Nanoseconds since some moment. Never steps."""
        ...


class ServerClock(Protocol):
    """The clock of the server that stores the log: a witness, for a clock cannot tell by itself that it is wrong."""

    async def now_ns(self) -> int:
        """Nanoseconds since the Unix epoch. Raises `ServerClockUnavailable`."""
        ...

    async def stored_ns(self, stream_seq: int) -> int:
        """When the commit at a stream position was stored. Raises `ServerClockUnavailable`."""
        ...


class ServerClockUnavailable(Exception):
    """The server does not say what time it is."""


class ClockDistrusted(Exception):
    """This machine's clock is not to be believed: nothing may be dated by it."""


class RecordedTime(Protocol):
    """The time by which one leadership dates what it records. Its readings become facts only by being recorded."""

    def begin(self, at_least_ms: int) -> None:
        """Start from the last record, or from the wall clock if that is later. Raises `ClockDistrusted`."""
        ...

    async def confirm(self, stream_seq: int) -> None:
        """Hold the clock against the server's stamp of the election commit. Raises `ClockDistrusted`."""
        ...

    def now_ms(self) -> int:
        """Milliseconds since the Unix epoch. Never goes back, and never leaps."""
        ...


HEADER_BYTES = 4 * 1024
"""Room for what a commit has beside the events of its commands: headers, its own and NATS's, and a checkpoint."""


class CommitTooLarge(Exception):
    """The log takes no commit of this size, whoever writes it. The writer states a smaller `commit_bytes_max` then."""


class LogWriter(Protocol):
    """The one way to append to the log."""

    @property
    def commit_bytes_max(self) -> int:
        """What the events of a commit may take at most, as far as is known."""
        ...

    async def append(self, data: bytes, commit_hash: str, after: LogPosition, deadline_seconds: float) -> int:
        """Store a commit directly after a position, durably, and return its stream position.

        Never to be called again before it returned. Raises `Deposed` if something else stands there, `Unknown` if the
        outcome could not be learned before the deadline, `CommitTooLarge` if nobody could store it.
        """
        ...

    async def last(self) -> int | None:
        """The stream position of what was stored last, whoever wrote it; 0 where there is nothing, or no log any more.

        None where the log does not say.
        """
        ...


class Intake(Protocol):
    """The command stream, as its one reader sees it: in order, nothing twice, nothing skipped."""

    async def look(self, consumed: int) -> None:
        """See that what waits follows what is consumed. Raises `CommandsRenumbered`, `IntakeUnavailable`."""
        ...

    async def open(self, consumed: int) -> int:
        """Drop what is consumed already and begin to deliver what follows, in order.

        Returns the last position that the stream gave out so far. Raises as `look` does.
        """
        ...

    def take_nowait(self) -> list[CommandMessage]:
        """What has arrived, perhaps nothing. Raises `mpbus.errors.ConsumerLost`."""
        ...

    def overhear(self) -> CommandMessage | None:
        """A message on its way to the stream, if one was heard; each is told once.

        Its position is the one it gets if it is stored next. It may be stored later than others, or never: only
        `take_nowait` says what the stream holds.
        """
        ...

    async def discard(self, consumed: int) -> None:
        """Acknowledge everything up to a position at once. Raises as `look` does."""
        ...

    async def close(self) -> None:
        """Stop taking. What was not discarded stays for the next leader."""
        ...


class Replies(Protocol):
    """How outcomes travel back. At most once: who misses one asks again under the same key."""

    async def send(self, reply_to: str, data: bytes) -> None:
        """Hand over one packed reply; a lost connection is no error."""
        ...


class LeadershipLease(Protocol):
    """Who should try to lead. For liveness only: safety rests on the log."""

    @property
    def holder(self) -> str:
        """Who was last seen to hold it. Empty: nobody."""
        ...

    async def free(self) -> bool:
        """Whether `acquire` would give it: nobody holds it, or we do. Raises `LeaseUnavailable`."""
        ...

    async def acquire(self) -> bool:
        """Take the lease if it is free, or ours still. False when another holds it. Raises `LeaseUnavailable`."""
        ...

    async def renew(self) -> bool:
        """Hold it longer; take it again if it ran out. False when another holds it. Raises `LeaseUnavailable`."""
        ...

    async def release(self) -> None:
        """Give it up at once, if it is ours."""
        ...


class LeaseUnavailable(Exception):
    """The lease keeper does not answer. A leader goes on (the log fences it), a standby waits."""


class SnapshotsUnavailable(Exception):
    """Snapshots can be neither read nor written now. The log is enough."""


class Snapshots(Protocol):
    """Where disposable copies of the state are kept."""

    async def load(self) -> bytes | None:
        """The newest snapshot, or None. Raises `SnapshotsUnavailable`."""
        ...

    async def store(self, data: bytes) -> None:
        """Keep this one as the newest. Raises `SnapshotsUnavailable`."""
        ...

    async def store_access(self, data: bytes) -> None:
        """Keep this access slice as the newest, where gateways find it. Raises `SnapshotsUnavailable`."""
        ...
