"""The bad ends of an operator's tool, as types.

ToolError
├── Disproved      a proof failed; carries what was found first
├── ToolRefused    the tool will not do this here, because it would harm or prove nothing
│   ├── Led        a kernel leads, and none may
│   └── NoArchive  a database without the tables of an archive
├── NotConfigured  it is not known where the servers are
└── ServerGone     a server does not answer
"""

import msgspec


def said(error: BaseException) -> str:
    """Return an error's words, or its name where it has none, as one that only ran out of time."""
    return str(error) or type(error).__name__


class Finding(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The first thing that is not what it should be."""

    where: str
    """The copy of the log, or the other thing, that is wrong: `stream`, `archive`, `segment`, `state`, `checkpoint`."""
    detail: str
    stream_seq: int | None = None
    """The position in the stream, counted in commits."""
    seq: int | None = None
    """The position in the log, counted in events: the first that can not be believed any more."""
    field: str | None = None
    expected: msgspec.Raw | None = None
    found: msgspec.Raw | None = None

    def __str__(self) -> str:
        place = f" at stream position {self.stream_seq}" if self.stream_seq is not None else ""
        event = f", from event {self.seq} on" if self.seq is not None else ""
        return f"the {self.where} is wrong{place}{event}: {self.detail}"


class ToolError(Exception):
    """The root of what a tool ends with when it does not succeed."""


class Disproved(ToolError):
    """A proof failed."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(str(finding))
        self.finding = finding


class ToolRefused(ToolError):
    """The tool will not do this here; the message says why, and what to do instead."""


class NoArchive(ToolRefused):
    """A database without the tables of an archive."""


class Led(ToolRefused):
    """A kernel leads, and what is asked for needs that none does."""


class NotConfigured(ToolError):
    """A server's address or credential is not known; the message says what to set."""


class ServerGone(ToolError):
    """A server does not answer, or answers that it cannot."""
