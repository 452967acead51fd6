"""`mpctl backup create`: the log, sealed, read back from disk, and folded."""

from __future__ import annotations

import asyncio
import platform
import time
from importlib.metadata import version
from pathlib import Path

import msgspec
from mpschema import subjects
from mpstore.snapshots.reducers import reducer_digest
from nats.aio.client import Client

from mpoperator.backup import manifest as files
from mpoperator.backup.fold import Folded, fold_segment
from mpoperator.backup.keys import save_keys
from mpoperator.backup.manifest import LOG, Backup
from mpoperator.copies.private import make_folder
from mpoperator.copies.stream import LogStream
from mpoperator.errors import ToolRefused
from mpoperator.log.transfer import export
from mpoperator.run import ToolResult
from mpoperator.site.connections import bus
from mpoperator.site.settings import OperatorSettings

_OURS = ("mpoperator", "mpkernel", "mpschema")


class Created(ToolResult, frozen=True, kw_only=True):
    """A backup that was read back and folded."""

    folder: str
    seconds: float
    backup: Backup
    keys_file: str | None = None

    def told(self) -> str:
        """See the base class."""
        held = self.backup
        return f"{held.seq:,} events of shard {held.shard} are backed up in {self.folder} ({self.seconds:.1f} s)"

    def details(self) -> list[list[str]]:
        """See the base class."""
        return [*shown(self.backup), ["keys", self.keys_file or "not included: --with-keys FILE keeps them, apart"]]


def shown(backup: Backup) -> list[list[str]]:
    """The summary of a backup."""
    size = sum(file.bytes for file in backup.files.values())
    waiting = f"{backup.waiting_commands} message(s), not included: their senders send again"
    return [
        ["head", f"{backup.head} at event {backup.seq}, epoch {backup.epoch}"],
        ["state root", backup.state_root],
        ["size", f"{size:,} bytes"],
        ["waiting commands", waiting if backup.waiting_commands else "none"],
    ]


async def create(settings: OperatorSettings, folder: Path, keys_file: Path | None) -> Created:
    """Back up a shard. Raises `ToolRefused` when the folder is not empty or the log is, `Disproved` for damage."""
    started = time.monotonic()
    _must_be_new(folder)
    taken_at_ms = time.time_ns() // 1_000_000
    async with bus(settings.nats()) as nc:
        if not (await LogStream(nc, settings.shard).existing()).last_seq:
            raise ToolRefused("the log is empty: there is nothing to back up")
        waiting, server = await _waiting(nc, settings.shard), str(nc.connected_server_version)
    make_folder(folder)
    exported = await export(settings, 1, None, folder / LOG, [])
    folded = await asyncio.to_thread(fold_segment, folder / LOG, exported.manifest)
    backup = _manifest(settings.shard, folder, folded, taken_at_ms, waiting, server)
    files.write(folder, backup)
    saved = save_keys(settings.secrets_dir, keys_file, folder) if keys_file else None
    return Created(
        folder=str(folder),
        seconds=round(time.monotonic() - started, 3),
        backup=backup,
        keys_file=str(saved) if saved else None,
    )


def _must_be_new(folder: Path) -> None:
    if folder.exists() and any(folder.iterdir()):
        raise ToolRefused(f"{folder} is not empty: a backup gets a folder of its own")


def _manifest(shard: str, folder: Path, folded: Folded, taken_at_ms: int, waiting: int, server: str) -> Backup:
    return Backup(
        shard=shard,
        taken_at_ms=taken_at_ms,
        seq=folded.position.seq,
        stream_seq=folded.position.stream_seq,
        head=folded.position.hash,
        head_time_ms=folded.time_ms,
        epoch=folded.shard.world.epoch,
        command_position=folded.shard.command_position,
        state_root=folded.root,
        reducer_digest=reducer_digest(),
        aggregates=folded.aggregates,
        waiting_commands=waiting,
        files=files.files_of(folder),
        versions={name: version(name) for name in _OURS}
        | {"python": platform.python_version(), "nats-server": server.strip("<>").split()[-1]},
    )


async def _waiting(nc: Client, shard: str) -> int:
    """Return the number of messages that wait in the command stream; none where there is no such stream."""
    answer = await nc.request(f"$JS.API.STREAM.INFO.{subjects.command_stream(shard)}", b"", timeout=5)
    info = msgspec.json.decode(answer.data)
    return int(info.get("state", {}).get("messages", 0))
