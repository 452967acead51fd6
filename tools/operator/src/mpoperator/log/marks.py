"""Marks of logs that are being put back (`mpbus.marks`), left and taken away by who puts one back."""

from __future__ import annotations

import hashlib
import shlex
from pathlib import Path

import msgspec
from mpbus import marks
from mpbus.errors import LOG_AWAY
from mpbus.marks import Mark as Mark
from mpbus.marks import mark_subject
from mpbus.reader import LogPosition
from nats.aio.client import Client
from nats.errors import Error as NatsError

from mpoperator.copies.segments import MANIFEST
from mpoperator.errors import ServerGone, ToolRefused, said

_GONE_SECONDS = "1"
_TTL = "Nats-TTL"


def mark_of(command: str, end: LogPosition, epoch: int = 0, folder: Path | None = None) -> Mark:
    """The mark of what `command` puts back: a log that ends at `end`, out of a folder where one is named."""
    return Mark(
        command=f"{command} {shlex.quote(str(folder.resolve()))}" if folder else command,
        digest=_digest(folder) if folder and (folder / MANIFEST).exists() else "",
        stream_seq=end.stream_seq,
        seq=end.seq,
        hash=end.hash,
        epoch=epoch,
    )


def is_of(folder: Path, mark: Mark) -> bool:
    """Return whether this is the folder that was marked, wherever it lies now."""
    try:
        return bool(mark.digest) and _digest(folder) == mark.digest
    except OSError:
        return False


async def read_mark(nc: Client, shard: str) -> Mark | None:
    """The mark of a log that is being put back, or may be whole; None where there is none. Raises `ServerGone`."""
    try:
        return await marks.read_mark(nc, shard)
    except LOG_AWAY as error:
        raise ServerGone(f"whether a log is being put back is not known: {said(error)}") from error


async def leave_mark(nc: Client, shard: str, mark: Mark) -> None:
    """Write it down, instead of another. Raises `ServerGone`."""
    await _write(nc, shard, msgspec.json.encode(mark), {})


async def take_mark_away(nc: Client, shard: str) -> None:
    """The log is whole again. Raises `ServerGone`."""
    if await read_mark(nc, shard) is not None:
        await _write(nc, shard, b"", {_TTL: _GONE_SECONDS})


async def must_not_be_marked(nc: Client, shard: str, end: LogPosition) -> None:
    """Raise `Refused` where a log is being put back that goes further than what is to be put back now, `end`."""
    mark = await read_mark(nc, shard)
    if mark is not None and end.seq < mark.seq:
        raise ToolRefused(
            f"a log is being put back that goes on to event {mark.seq}: `{mark.told()}` loses nothing, and this ends "
            f"with event {end.seq}. Where that copy is lost take its mark away: nats pub {mark_subject(shard)} ''"
        )


async def _write(nc: Client, shard: str, data: bytes, headers: dict[str, str]) -> None:
    try:
        await nc.jetstream(timeout=10).publish(mark_subject(shard), data, headers=headers)
    except (NatsError, TimeoutError) as error:
        raise ServerGone(f"that the log is being put back could not be written down: {said(error)}") from error


def _digest(folder: Path) -> str:
    return hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()
