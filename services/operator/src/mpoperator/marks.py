"""The mark of a mending: which copy of the log is the one to go on with, written down before the log is deleted.

From then on the folder is all there is, and half a log in the stream looks like a log. So what the folder holds is said
where it outlives the stream: among the snapshots, under a name of its own.
"""

from __future__ import annotations

import hashlib
import platform
from pathlib import Path

import msgspec
from mpbus.objects import load_object, snapshot_bucket
from mpbus.reader import LogPosition
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js.errors import BucketNotFoundError, ObjectNotFoundError

from mpoperator.errors import ServerGone, ToolRefused
from mpoperator.segments import MANIFEST

_SECONDS = 30.0


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """A copy of the log that was sealed, and what it was sealed of."""

    folder: str
    host: str
    digest: str
    """SHA-256 of its manifest."""
    stream_seq: int
    seq: int
    hash: str
    epoch: int
    """The last of the log when it was sealed."""

    @property
    def end(self) -> LogPosition:
        """Where the copy ends."""
        return LogPosition(self.stream_seq, self.seq, self.hash)

    def told(self) -> str:
        """Where the copy is."""
        where = f" on {self.host}" if self.host != platform.node() else ""
        return f"{self.folder}{where}"


def mark_of(folder: Path, end: LogPosition, epoch: int) -> Mark:
    """The mark of a sealed folder."""
    return Mark(
        folder=str(folder.resolve()),
        host=platform.node(),
        digest=hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest(),
        stream_seq=end.stream_seq,
        seq=end.seq,
        hash=end.hash,
        epoch=epoch,
    )


def is_of(folder: Path, mark: Mark) -> bool:
    """Whether this is the folder that was marked, wherever it lies now."""
    try:
        return hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest() == mark.digest
    except OSError:
        return False


async def read_mark(nc: Client, shard: str) -> Mark | None:
    """The mark of a mending that was begun, and may be done; None where there is none. Raises `ServerGone`."""
    try:
        data = await load_object(nc, _name(shard), _SECONDS)
    except (NatsError, TimeoutError) as error:
        raise ServerGone(f"whether a mending was begun is not known: {str(error) or type(error).__name__}") from error
    try:
        return msgspec.json.decode(data, type=Mark) if data else None
    except msgspec.DecodeError:
        return None


async def leave_mark(nc: Client, shard: str, mark: Mark) -> None:
    """Write it down, instead of another. Raises `ServerGone`."""
    try:
        bucket = await snapshot_bucket(nc.jetstream(timeout=10))
        await bucket.put(_name(shard), msgspec.json.encode(mark))
    except (NatsError, TimeoutError) as error:
        raise ServerGone(f"the mending could not be written down: {str(error) or type(error).__name__}") from error


async def take_mark_away(nc: Client, shard: str) -> None:
    """The log is whole again. Raises `ServerGone`."""
    try:
        await (await snapshot_bucket(nc.jetstream(timeout=10))).delete(_name(shard))
    except (BucketNotFoundError, ObjectNotFoundError):
        return
    except (NatsError, TimeoutError) as error:
        raise ServerGone(f"the mending could not be ended: {str(error) or type(error).__name__}") from error


async def must_not_be_marked(nc: Client, shard: str, end: LogPosition) -> None:
    """Raise `ToolRefused` where a mending was begun whose copy goes further than what is to be put back, `end`."""
    mark = await read_mark(nc, shard)
    if mark is not None and end.seq < mark.seq:
        raise ToolRefused(
            f"a mending was begun, and its copy goes on to event {mark.seq}: `mpctl log mend {mark.told()}` loses "
            f"nothing, and this ends with event {end.seq}. Where the copy is lost take its mark away: "
            f"nats object del MP_SNAPSHOTS {_name(shard)}"
        )


def _name(shard: str) -> str:
    return f"mending-{shard}"
