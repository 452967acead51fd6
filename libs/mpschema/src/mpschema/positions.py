"""Positions in the log."""

from dataclasses import dataclass

from mpschema.codec import GENESIS_HASH


@dataclass(frozen=True, slots=True)
class LogPosition:
    """A place between two commits: the stream position and last event before it, and the chain's hash there."""

    stream_seq: int
    seq: int
    hash: str


GENESIS = LogPosition(0, 0, GENESIS_HASH)
"""The position before the first commit."""
