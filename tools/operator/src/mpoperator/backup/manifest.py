"""The manifest of a backup, and its folder: `backup.json`, and the segment in `log/`.

Of all that a cluster holds only the log is backed up: everything else is made from it again. Keys are kept apart.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import msgspec

from mpoperator.copies.private import create
from mpoperator.copies.segments import CONTENT
from mpoperator.copies.segments import MANIFEST as SEGMENT_MANIFEST
from mpoperator.errors import Disproved, Finding, ToolRefused

FORMAT = "moduprompt/backup/v1"
MANIFEST = "backup.json"
LOG = "log"
_CHUNK = 1 << 20


class File(msgspec.Struct, frozen=True):
    """One file of a backup, as it must be on disk."""

    sha256: str
    bytes: int


class Backup(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The log at the time of the backup, and the result that its fold must give."""

    format: str = FORMAT
    shard: str
    taken_at_ms: int
    seq: int
    stream_seq: int
    head: str
    """The hash of the last commit."""
    head_time_ms: int
    """The time of the last commit."""
    epoch: int
    command_position: int
    state_root: str
    reducer_digest: str
    aggregates: dict[str, int]
    """The number of each kind in the log's fold."""
    waiting_commands: int
    """Messages that waited in the command stream, and are not part of the backup: nobody was promised anything yet."""
    files: dict[str, File]
    versions: dict[str, str]


def write(folder: Path, backup: Backup) -> None:
    """Write the manifest, last of all, and force everything to disk: a folder without it is no backup."""
    for name in backup.files:
        _force(folder / name)
    path = folder / MANIFEST
    with create(path) as file:
        file.write(msgspec.json.format(msgspec.json.encode(backup)) + b"\n")
    for each in (path, folder / LOG, folder):
        _force(each)


def read(folder: Path) -> Backup:
    """The manifest of a backup. Raises `ToolRefused` where there is none, `Disproved` where it is damaged."""
    try:
        data = (folder / MANIFEST).read_bytes()
    except OSError as error:
        raise ToolRefused(f"{folder} is no backup: it has no readable {MANIFEST}") from error
    try:
        backup = msgspec.json.decode(data, type=Backup)
    except msgspec.DecodeError as error:
        raise Disproved(Finding(where="backup", detail=f"its manifest cannot be read: {error}")) from error
    if backup.format != FORMAT:
        raise ToolRefused(f"{folder} is a {backup.format}, which this build does not know")
    return backup


def files_of(folder: Path) -> dict[str, File]:
    """The files of a backup as they are on disk."""
    names = [f"{LOG}/{name}" for name in (CONTENT, SEGMENT_MANIFEST)]
    return {name: _file(folder / name) for name in names}


def newest(folder: Path) -> Path | None:
    """The folder itself where it is a backup, else the newest backup directly below it; None where there is none."""
    if (folder / MANIFEST).exists():
        return folder
    found = [path.parent for path in folder.glob(f"*/{MANIFEST}")]
    return max(found, key=lambda each: read(each).taken_at_ms, default=None)


def _file(path: Path) -> File:
    digest, size = hashlib.sha256(), 0
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
                size += len(chunk)
    except OSError as error:
        detail = f"{path.name} cannot be read: {error.strerror}"
        raise Disproved(Finding(where="backup", detail=detail)) from error
    return File(digest.hexdigest(), size)


def _force(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
