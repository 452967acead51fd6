"""`mpctl log`: prove that the log is whole, move it, and get it back."""

from __future__ import annotations

from pathlib import Path

import click

from mpoperator.comparing import compare
from mpoperator.running import Answer, command
from mpoperator.settings import read_settings
from mpoperator.signatures import list_checkpoints
from mpoperator.verifying import verify_stream


@click.group()
def log() -> None:
    """Prove that the log is whole, move it, and get it back."""


_SEQ = click.IntRange(1)


@command(
    log,
    "verify",
    click.Option(["--from", "first"], type=_SEQ, default=1, metavar="SEQ", help="First event.  [default: 1]"),
    click.Option(["--to", "last"], type=_SEQ, metavar="SEQ", help="Last event.  [default: the head]"),
    click.Option(["--deep"], is_flag=True, help="Decode every event, too."),
    click.Option(["--against"], type=click.Choice(["archive"]), help="Compare with this copy, byte for byte."),
    click.Option(
        ["--wait"], type=click.FloatRange(0), default=10.0, help="Seconds a copy may take to catch up.  [default: 10]"
    ),
    examples=[
        "mpctl log verify",
        "mpctl log verify --from 1000000 --deep --json",
        "mpctl log verify --against archive",
    ],
)
async def verify(first: int, last: int | None, deep: bool, against: str | None, wait: float) -> Answer:
    """Check hash, link, position and count of every commit; name the first that is wrong.

    With --from the commit before is taken as believed. Exits with 8 when something is wrong.
    """
    if against:
        return await compare(read_settings(), first, last, deep=deep, wait_seconds=wait)
    return await verify_stream(read_settings(), first, last, deep=deep)


@command(
    log,
    "checkpoints",
    click.Option(
        ["--public-key", "key_files"],
        type=click.Path(dir_okay=False, path_type=Path),
        multiple=True,
        help="Public key, PEM or hex; repeat it after a change of keys.  [default: the one mpd made]",
    ),
    click.Option(["--signed"], is_flag=True, help="Accept no checkpoint without a signature."),
    examples=["mpctl log checkpoints", "mpctl log checkpoints --public-key kept-elsewhere.pub --signed --json"],
)
async def checkpoints(key_files: tuple[Path, ...], signed: bool) -> Answer:
    """List the checkpoints, check that each agrees with the chain, and verify its signature.

    Exits with 8 when a checkpoint is wrong or its signature does not verify.
    """
    return await list_checkpoints(read_settings(), [*key_files], signed=signed)
