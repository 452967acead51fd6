"""The errors between us and the stream server, as types.

BusError
├── BrokerUnavailable          the stream server did not answer; the outcome may be unknown, repeating is safe
├── IntakeFull           the intake is full; try again after `retry_after_seconds`
├── OutcomeTimeout       the command is durable, its outcome did not come in time
├── ConsumerLost         a pull consumer went away; open a new one
├── ChainBroken          the log does not verify: stop, do not go on
│   ├── ForeignMessage   something stands in the log that is no commit of ours
│   └── LogReplaced      the log is not the one that was read: it was put back
├── LogIncomplete        the log is being put back and is not whole yet; ask again
├── LogUnavailable       the log does not answer; ask again
│   └── NoLog            there is none
├── PermissionsViolation               the stream server refuses this user this subject; repeating is in vain
└── Unusable             a credential or certificate cannot be read
"""

import enum
from typing import ClassVar

from nats.errors import Error as NatsError

_SHOWN_BYTES = 40


class HaltCode(enum.StrEnum):
    """The reasons of a halt until somebody mends something: the fact `halt` of `/readyz`, beside its sentence."""

    LOG_UNREADABLE = "log_unreadable"
    LOG_REPLACED = "log_replaced"
    FEED_DIVERGED = "feed_diverged"
    COMMANDS_RENUMBERED = "commands_renumbered"


def halt_of(error: Exception) -> HaltCode:
    """The code of an error that halts a service. Errors of other packages name theirs in `halt`."""
    code: HaltCode = getattr(error, "halt", HaltCode.LOG_UNREADABLE)
    return code


class BusError(Exception):
    """The root of everything this package raises on its own account."""


class BrokerUnavailable(BusError):
    """The stream server did not answer in time. What was sent may have arrived."""


class IntakeFull(BusError):
    """The intake is full: nothing was taken."""

    def __init__(self, detail: str, retry_after_seconds: int = 1) -> None:
        super().__init__(detail)
        self.retry_after_seconds = retry_after_seconds


class OutcomeTimeout(BusError):
    """A command waits in the stream, and its outcome did not come before the caller's deadline."""

    def __init__(self, command_id: str) -> None:
        super().__init__(f"no outcome yet for command {command_id}")
        self.command_id = command_id


class PermissionsViolation(BusError, NatsError):
    """The refusal of a subject to a user by NATS. Also an error of NATS, so that handlers of those catch it."""

    def __init__(self, user: str, action: str, subject: str) -> None:
        told = f"NATS refuses this user {user or '(without a name)'}: {action} to {subject}"
        super().__init__(f"{told}; see context/operations/credentials.md")
        self.user = user
        self.action = action
        self.subject = subject


class Unusable(BusError):
    """A credential or certificate cannot be read."""


class ConsumerLost(BusError):
    """A pull consumer stopped answering, was deleted, or skipped a message."""


class LogIncomplete(BusError):
    """The log is being put back: its end is not the end of what was recorded."""


class LogUnavailable(BusError):
    """A log that does not answer now."""


class NoLog(LogUnavailable):
    """A log that is not there: its stream was never made, or is deleted."""


LOG_AWAY = (LogUnavailable, PermissionsViolation)
"""The errors of a log that cannot be read now."""


class ChainBroken(BusError):
    """The log does not verify at a position of its stream."""

    def __init__(self, stream_seq: int, detail: str) -> None:
        super().__init__(f"log position {stream_seq}: {detail}")
        self.stream_seq = stream_seq
        self.detail = detail


class LogReplaced(ChainBroken):
    """Another commit than the one that was read last stands in its place, or none: the log was put back."""

    halt: ClassVar = HaltCode.LOG_REPLACED

    def __init__(self, stream_seq: int) -> None:
        super().__init__(stream_seq, "the commit that was read there is gone: the log was put back from a copy")


class ForeignMessage(ChainBroken):
    """A message in the log that no kernel wrote. It cannot be deleted: `mpctl log mend` puts the log back."""

    def __init__(self, stream_seq: int, subject: str, data: bytes) -> None:
        begin = ascii(data[:_SHOWN_BYTES].decode("ascii", "replace"))
        told = f"{len(data)} bytes on {subject} that begin with {begin} and name no hash"
        super().__init__(stream_seq, f"a foreign message stands there, {told}: run `mpctl log mend DIR`")
