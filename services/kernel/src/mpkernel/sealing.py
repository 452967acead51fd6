"""Snapshots and checkpoints: every so many events the state is written down, and its root goes into the log.

The look at the state is taken between two turns and costs a copy of dictionaries. The rest happens beside the loop, a
millisecond at a time. A snapshot costs what the state holds; so the more it holds, the more events lie between two, and
what snapshots cost an event stays the same however long the log becomes.
"""

import asyncio
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import msgspec
import structlog
from mpbus.reader import LogPosition
from mpbus.tasks import end, watched
from mpcore.engine.sealed import Sealed
from mpcore.engine.shard import Shard
from mpcore.engine.snapshot import Frozen
from mpschema.system import LogCheckpointed
from mpstore.snapshots import Snapshots, SnapshotsUnavailable
from mpstore.snapshots.sealed import FORMAT, SnapshotHeader
from mpviews import access
from mpviews.access import AccessSlice, Pieces

from mpkernel.signing import CheckpointSigner

log = structlog.get_logger(__name__)
_GROWTH = 2
"""The next snapshot waits until there are as many new events as the state holds outcomes, divided by this."""


@dataclass(frozen=True, slots=True)
class _Look:
    """The state to be written down, as it was between two turns."""

    state: Frozen
    access: Pieces


class Sealing:
    """Takes snapshots of a leading kernel's state, and offers a checkpoint for each, signed where there is a key.

    The access slice stands in the snapshot, for the next kernel, and once more by itself, for the gateways.
    """

    def __init__(
        self,
        snapshots: Snapshots,
        reducer_digest: str,
        every: int,
        wake: asyncio.Event,
        signer: CheckpointSigner | None = None,
        access: AccessSlice | None = None,
    ) -> None:
        self._access = AccessSlice() if access is None else access
        self._signer = signer
        self._snapshots = snapshots
        self._reducer_digest = reducer_digest
        self._every = every
        self._wake = wake
        self._since = 0
        self._frozen: _Look | None = None
        self._checkpoint: LogCheckpointed | None = None
        self._task: asyncio.Task[None] | None = None

    def look(self, sealed: Sealed, shard: Shard) -> None:
        """See the state directly after a turn, before the next is decided; freeze it when a snapshot is due."""
        for record in sealed.access:
            self._access.fold(record)
        self._access.seq = sealed.last_seq
        self._since += sealed.header.count
        busy = self._task is not None and not self._task.done()
        if self._every and not busy and self._since >= max(self._every, len(shard.outcomes) // _GROWTH):
            self._since = 0
            self._frozen = _Look(Frozen(shard), self._access.pieces())

    def stored(self, position: LogPosition) -> None:
        """The turn last looked at is in the log: what was frozen there is fact."""
        frozen, self._frozen = self._frozen, None
        if frozen is not None:
            self._task = watched(self._write(frozen, position), "snapshot")

    def take_checkpoint(self) -> LogCheckpointed | None:
        """The checkpoint to record next, once."""
        checkpoint, self._checkpoint = self._checkpoint, None
        return checkpoint

    async def close(self) -> None:
        """Give up what is under way."""
        if self._task is not None:
            await end(self._task)

    async def _write(self, look: _Look, position: LogPosition) -> None:
        hashed = hashlib.sha256()
        state = await _joined(look.state.chunks(), hashed.update)
        doors = access.part(await _joined(access.chunks(look.access)), position)
        root = hashed.hexdigest()
        header = SnapshotHeader(
            format=FORMAT,
            reducer_digest=self._reducer_digest,
            stream_seq=position.stream_seq,
            seq=position.seq,
            hash=position.hash,
            state_root=root,
            access_bytes=len(doors),
        )
        try:
            await self._snapshots.store(msgspec.json.encode(header) + b"\n" + state + doors)
            await self._snapshots.store_access(doors)
        except SnapshotsUnavailable as error:
            log.warning("snapshot.failed", seq=position.seq, reason=str(error))
            return
        log.info("snapshot.stored", seq=position.seq, bytes=len(state), access_bytes=len(doors))
        checkpoint = LogCheckpointed(at_seq=position.seq, head=position.hash, state_root=root)
        self._checkpoint = self._signer.signed(checkpoint) if self._signer else checkpoint
        self._wake.set()


async def _joined(chunks: Iterator[bytes], each: Callable[[bytes], None] | None = None) -> bytes:
    """Join the chunks, and hand each one on, a bounded piece at a time: other work goes on in between."""
    pieces = []
    for chunk in chunks:
        pieces.append(chunk)
        if each is not None:
            each(chunk)
        await asyncio.sleep(0)
    return b"".join(pieces)
