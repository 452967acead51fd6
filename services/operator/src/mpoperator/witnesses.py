"""Who else knows how far the log went: a valid beginning of a chain is a valid chain, so its end needs a witness."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
from mpbus.reader import Commit, LogPosition
from mpkernel.adapters.object_snapshots import ObjectSnapshots
from mpkernel.ports import SnapshotsUnavailable
from mpkernel.sealing import SnapshotHeader
from nats.aio.client import Client

from mpoperator.archive import Archive
from mpoperator.connections import archive as open_archive
from mpoperator.errors import Disproved, Finding, ServerGone
from mpoperator.settings import OperatorSettings
from mpoperator.stream import StreamState

_ARCHIVE = "the archive"


@dataclass(frozen=True, slots=True)
class Witness:
    """Somebody who saw a commit."""

    name: str
    stream_seq: int
    seq: int
    hash: str

    def must_agree(self, commit: Commit) -> None:
        """Raise `Disproved` unless this is the commit that was seen there."""
        if commit.hash != self.hash:
            detail = f"{self.name} saw another commit there, with the hash {self.hash}"
            raise Disproved(
                Finding(where="stream", detail=detail, stream_seq=self.stream_seq, seq=commit.header.first_seq)
            )

    def told(self) -> str:
        """In words."""
        return f"{self.name} (event {self.seq:,})"


async def witnesses(settings: OperatorSettings, nc: Client) -> list[Witness]:
    """The stored snapshot, and the archive where it is known. One that does not answer is no witness."""
    found = [await stored_snapshot(nc, settings.shard), await _archive(settings)]
    return [witness for witness in found if witness is not None]


def must_reach(seen: list[Witness], end: LogPosition) -> None:
    """Raise `Disproved` when somebody saw more of the log than there is."""
    for witness in seen:
        if witness.stream_seq > end.stream_seq:
            detail = f"it ends with event {end.seq}, and {witness.name} knows of event {witness.seq}: its tail is lost"
            raise Disproved(Finding(where="stream", detail=detail, stream_seq=end.stream_seq + 1, seq=end.seq + 1))


def must_have_kept_all(state: StreamState, seen: list[Witness], end: LogPosition) -> None:
    """Raise `Disproved` when the server says that it cut something off, and no archive can say that all is there."""
    if state.lost is not None and _ARCHIVE not in {witness.name for witness in seen}:
        detail = f"the server found damage and cut off {state.lost.bytes} bytes; compare with the archive"
        raise Disproved(Finding(where="stream", detail=detail, stream_seq=end.stream_seq + 1, seq=end.seq + 1))


async def stored_snapshot(nc: Client, shard: str) -> Witness | None:
    """Where the stored snapshot was taken; None where there is none that can be read."""
    try:
        data = await ObjectSnapshots(nc, shard).load()
        header = msgspec.json.decode(data.partition(b"\n")[0], type=SnapshotHeader) if data else None
    except (SnapshotsUnavailable, msgspec.DecodeError):
        return None
    return Witness("the stored snapshot", header.stream_seq, header.seq, header.hash) if header else None


async def _archive(settings: OperatorSettings) -> Witness | None:
    if settings.known_dsn is None:
        return None
    try:
        async with open_archive(settings.known_dsn) as connection:
            newest = await Archive(connection).newest()
            return Witness(_ARCHIVE, *newest) if newest else None
    except ServerGone:
        return None
