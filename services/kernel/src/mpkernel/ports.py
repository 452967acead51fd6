"""The ports of the kernel: small protocols with their promises. Each has a contract suite in the tests."""

from dataclasses import dataclass
from typing import ClassVar, Protocol

from mpbus.errors import HaltCode


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
        """Return the time at which the commit at a stream position was stored. Raises `ServerClockUnavailable`."""
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
        """Return the messages that arrived, perhaps none. Raises `mpbus.errors.ConsumerLost`."""
        ...

    def overhear(self) -> CommandMessage | None:
        """Return a message on its way to the stream, if the subscription has one. Each is returned once.

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
    """The transport of outcomes to their callers. At most once: who misses one asks again under the same key."""

    async def send(self, reply_to: str, data: bytes) -> None:
        """Hand over one packed reply; a lost connection is no error."""
        ...
