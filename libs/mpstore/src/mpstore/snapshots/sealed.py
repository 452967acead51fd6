"""The bytes of a snapshot: a header line, the state, the access slice."""

import hashlib

import msgspec
from mpbus.reader import LogPosition
from mpcore.engine.shard import Shard
from mpcore.engine.snapshot import thaw
from mpviews import access
from mpviews.access import AccessSlice

FORMAT = 2


class SnapshotHeader(msgspec.Struct, frozen=True, kw_only=True):
    """The header of a snapshot: its state's place and root, and the reducers that made it."""

    format: int
    reducer_digest: str
    stream_seq: int
    seq: int
    hash: str
    state_root: str
    access_bytes: int = 0
    """The length of the access slice that follows the state. It is no part of the root: no decision rests on it."""


def split_snapshot(data: bytes) -> tuple[SnapshotHeader, bytes, bytes]:
    """A snapshot's header, its state and its access slice. Raises `msgspec.DecodeError`."""
    line, _, rest = data.partition(b"\n")
    header = msgspec.json.decode(line, type=SnapshotHeader)
    at = len(rest) - header.access_bytes
    return header, rest[:at], rest[at:]


def open_snapshot(data: bytes, reducer_digest: str) -> tuple[Shard, LogPosition] | None:
    """The state and position a snapshot holds; None if it is damaged or made by other reducers."""
    try:
        header, body, _ = split_snapshot(data)
        if header.format != FORMAT or header.reducer_digest != reducer_digest:
            return None
        if hashlib.sha256(body).hexdigest() != header.state_root:
            return None
        return thaw(body), LogPosition(header.stream_seq, header.seq, header.hash)
    except msgspec.DecodeError:
        return None


def open_access(data: bytes) -> AccessSlice | None:
    """The access slice in a snapshot that `open_snapshot` opened; None if it is damaged, or of another version."""
    opened = access.open_part(split_snapshot(data)[2])
    return None if opened is None else opened[0]
