"""`mpctl backup verify`: is every byte there, does the chain hold, and does the fold reach the root?"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from mpstore.snapshots.reducers import reducer_digest

from mpoperator.backup import manifest as files
from mpoperator.backup.creation import shown
from mpoperator.backup.fold import Folded, fold_segment
from mpoperator.backup.manifest import LOG, Backup
from mpoperator.copies.segments import Manifest, read_manifest
from mpoperator.errors import Disproved, Finding
from mpoperator.run import ToolResult


class BackupVerified(ToolResult, frozen=True, kw_only=True):
    """A backup from which a cluster can be made again."""

    folder: str
    seconds: float
    backup: Backup

    def told(self) -> str:
        """See the base class."""
        return f"the backup in {self.folder} verifies: {self.backup.seq:,} events, head and state root are as it says"

    def details(self) -> list[list[str]]:
        """See the base class."""
        return shown(self.backup)


async def verify(folder: Path) -> BackupVerified:
    """Verify a backup without a server. Raises `ToolRefused` if there is none, `Disproved` for what is wrong first."""
    started = time.monotonic()
    backup, segment = read_whole(folder)
    must_equal(backup, await asyncio.to_thread(fold_segment, folder / LOG, segment))
    return BackupVerified(folder=str(folder), seconds=round(time.monotonic() - started, 3), backup=backup)


def read_whole(folder: Path) -> tuple[Backup, Manifest]:
    """A backup's two manifests, once its files are known to be what the first says. Raises `Disproved`."""
    backup = files.read(folder)
    for name, found in files.files_of(folder).items():
        if backup.files.get(name) != found:
            detail = f"{name} is not the file that was written: its SHA-256 or size is another"
            raise Disproved(Finding(where="backup", detail=detail))
    segment = read_manifest(folder / LOG)
    return backup, segment


def must_equal(backup: Backup, folded: Folded) -> None:
    """Raise `Disproved` unless the fold of a log is what the backup says it must be."""
    said = (backup.stream_seq, backup.seq, backup.head)
    at = folded.position
    if (at.stream_seq, at.seq, at.hash) != said:
        detail = f"the log ends with event {at.seq} and hash {at.hash}, the backup says {backup.seq} and {backup.head}"
        raise Disproved(Finding(where="backup", detail=detail, stream_seq=at.stream_seq, seq=at.seq))
    if folded.root != backup.state_root:
        other = "" if backup.reducer_digest == reducer_digest() else " (it was made by another release's reducers)"
        detail = f"folding reached the state root {folded.root}, the backup says {backup.state_root}{other}"
        raise Disproved(Finding(where="state", detail=detail, stream_seq=at.stream_seq, seq=at.seq))
