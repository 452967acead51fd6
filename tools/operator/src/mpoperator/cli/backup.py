"""`mpctl backup`: take one, verify it, put it back, rehearse that."""

from __future__ import annotations

from pathlib import Path

import click

from mpoperator.backup.creation import create as create_backup
from mpoperator.backup.drill import drill as drill_backup
from mpoperator.backup.keys import restore_keys
from mpoperator.backup.restore import restore as restore_backup
from mpoperator.backup.verification import verify as verify_backup
from mpoperator.run import ToolResult, command
from mpoperator.site.settings import read_settings


@click.group()
def backup() -> None:
    """Back the log up, verify it, put it back, and rehearse that."""


_FOLDER = click.Argument(["folder"], metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
_FILE = click.Path(dir_okay=False, path_type=Path)


@command(
    backup,
    "create",
    _FOLDER,
    click.Option(["--with-keys", "keys_file"], type=_FILE, metavar="FILE", help="Keep the secrets, too, in this file."),
    examples=[
        "mpctl backup create ./backups/monday",
        "mpctl backup create ./monday --with-keys /safe/keys.json --json",
    ],
)
async def create(folder: Path, keys_file: Path | None) -> ToolResult:
    """Back up the log into a new folder: every commit with its bytes and hash, and what its fold must be.

    The log is all there is to back up: read models, snapshots and the feed are made from it again. Commands that wait
    and are not decided yet are not part of it: nobody was promised anything, and their senders send again. Keys (the
    pepper of API keys, the keys that sign tokens and checkpoints) are not part of it either; --with-keys copies them
    into a file of its own, readable by its owner alone: keep it elsewhere.

    Everything is read back from disk and folded before this succeeds. The cluster goes on working meanwhile.
    """
    return await create_backup(read_settings(), folder, keys_file)


@command(backup, "verify", _FOLDER, examples=["mpctl backup verify ./backups/monday"])
async def verify(folder: Path) -> ToolResult:
    """Verify a backup, without any server: checksums, the chain, the fold's state root.

    Exits with 8 when something is wrong.
    """
    return await verify_backup(folder)


@command(
    backup,
    "restore",
    _FOLDER,
    click.Option(["--drop-read-models"], is_flag=True, help="Empty PostgreSQL first; everything there is made anew."),
    click.Option(["--resume"], is_flag=True, help="Go on with a restoration that was cut off."),
    examples=["mpctl backup restore ./backups/monday", "mpctl backup restore ./backups/monday --drop-read-models"],
)
async def restore(folder: Path, drop_read_models: bool, resume: bool) -> ToolResult:
    """Put a backup back into an empty cluster, with no kernel running: same bytes, same head, same state root.

    A new epoch begins with it. Whoever saw more than the backup holds is told so: cursors get a `resync`, old fencing
    tokens are refused, also when the log has grown beyond where it was. Streams are made where they are missing.

    Exits with 3 when the cluster is not empty, with 8 when the backup or what was written is not what it should be.
    """
    return await restore_backup(read_settings(), folder, drop=drop_read_models, resume=resume)


@command(
    backup,
    "restore-keys",
    click.Argument(["source"], metavar="FILE", type=_FILE),
    click.Argument(["folder"], metavar="DIR", type=click.Path(file_okay=False, path_type=Path)),
    examples=["mpctl backup restore-keys /safe/keys.json /run/secrets/moduprompt"],
)
async def keys(source: Path, folder: Path) -> ToolResult:
    """Write the keys that `create --with-keys` kept into a secrets folder. Never replaces one that differs."""
    return restore_keys(source, folder)


@command(
    backup,
    "drill",
    click.Argument(["folder"], metavar="[DIR]", type=click.Path(file_okay=False, path_type=Path), required=False),
    click.Option(["--no-read-models"], is_flag=True, help="Do not compare them: that takes 7 GB per million events."),
    click.Option(["--keep"], is_flag=True, help="Leave the rehearsal's folder, with its logs, where it is."),
    examples=["mpctl backup drill ./backups", "mpctl backup drill --json"],
)
async def drill(folder: Path | None, no_read_models: bool, keep: bool) -> ToolResult:
    """Rehearse a restoration: put the newest backup into a throw-away cluster on this machine, and look at everything.

    DIR is a backup or a folder of backups; without it one is taken now. Checked are the head, the state root, the read
    models against a fresh fold, and that a command is decided. Told are how much would be lost (RPO: events and seconds
    between the backup and the log as it is now) and how long it takes (RTO). The cluster itself is not touched.

    Exits with 8 when something is not as it should be.
    """
    return await drill_backup(read_settings(), folder, compare=not no_read_models, keep=keep)
