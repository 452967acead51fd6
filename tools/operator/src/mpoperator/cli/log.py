"""`mpctl log`: prove that the log is whole, move it, and get it back."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import click

from mpoperator.log.comparison import compare
from mpoperator.log.mend import mend
from mpoperator.log.signatures import list_checkpoints
from mpoperator.log.transfer import bring_in as import_segment
from mpoperator.log.transfer import export as export_segment
from mpoperator.log.transfer import restore as restore_log
from mpoperator.log.verification import verify_stream
from mpoperator.run import ToolResult, command
from mpoperator.site.settings import read_settings


@click.group()
def log() -> None:
    """Prove that the log is whole, move it, and get it back."""


_SEQ = click.IntRange(1)
_KEYS = click.Option(
    ["--public-key", "key_files"],
    type=click.Path(dir_okay=False, path_type=Path),
    multiple=True,
    help="Public key, PEM or hex; repeat it after a change of keys.  [default: the one mpd made]",
)


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
async def verify(first: int, last: int | None, deep: bool, against: str | None, wait: float) -> ToolResult:
    """Check hash, link, position and count of every commit; name the first that is wrong.

    With --from the commit before is taken as believed. Exits with 8 when something is wrong.
    """
    if against:
        return await compare(read_settings(), first, last, deep=deep, wait_seconds=wait)
    return await verify_stream(read_settings(), first, last, deep=deep)


@command(
    log,
    "checkpoints",
    _KEYS,
    click.Option(["--signed"], is_flag=True, help="Accept no checkpoint without a signature."),
    examples=["mpctl log checkpoints", "mpctl log checkpoints --public-key kept-elsewhere.pub --signed --json"],
)
async def checkpoints(key_files: tuple[Path, ...], signed: bool) -> ToolResult:
    """List the checkpoints, check that each agrees with the chain, and verify its signature.

    Exits with 8 when a checkpoint is wrong or its signature does not verify.
    """
    return await list_checkpoints(read_settings(), [*key_files], signed=signed)


_AS_IT_WAS = click.Option(
    ["--as-it-was"], is_flag=True, help="Begin no new epoch after it: for a copy that nobody goes on with."
)
_RESUME = click.Option(["--resume"], is_flag=True, help="Go on where the stream ends, once its beginning verifies.")
_FOLDER = click.Argument(["folder"], metavar="DIR", type=click.Path(file_okay=False, path_type=Path))


@command(
    log,
    "export",
    click.Option(["--from", "first"], type=_SEQ, default=1, metavar="SEQ", help="First event.  [default: 1]"),
    click.Option(["--to", "last"], type=_SEQ, metavar="SEQ", help="Last event.  [default: the head]"),
    _KEYS,
    _FOLDER,
    examples=["mpctl log export ./segment", "mpctl log export --from 1 --to 1000000 ./segment-1 --json"],
)
async def export(first: int, last: int | None, key_files: tuple[Path, ...], folder: Path) -> ToolResult:
    """Seal a stretch of the log in a folder: its commits, compressed, and a manifest that says what they must be.

    Whole commits are exported: those that hold the events asked for. Exits with 8 when they do not verify.
    """
    return await export_segment(read_settings(), first, last, folder, [*key_files])


@command(log, "import", _RESUME, _AS_IT_WAS, _FOLDER, examples=["mpctl log import ./segment"])
async def bring_in(folder: Path, resume: bool, as_it_was: bool) -> ToolResult:
    """Write a segment into an empty shard, after everything in it is verified. Stop the kernels first.

    The log goes on in a new epoch: cursors and fencing tokens of what came after the segment are refused.

    Exits with 3 when the shard is not empty, with 8 when the segment does not verify.
    """
    return await import_segment(read_settings(), folder, resume=resume, new_epoch=not as_it_was)


@command(
    log,
    "restore",
    click.Option(["--from", "origin"], type=click.Choice(["archive"]), required=True, help="Which copy to take."),
    _RESUME,
    _AS_IT_WAS,
    examples=["mpctl log restore --from archive", "mpctl log restore --from archive --resume"],
)
async def restore(origin: str, resume: bool, as_it_was: bool) -> ToolResult:
    """Rebuild a lost log stream, bit by bit, from the archive in PostgreSQL. Stop the kernels first.

    What the archive had not seen yet is lost. So the log goes on in a new epoch: cursors and fencing tokens from the
    lost part are refused.

    Exits with 3 when the stream is not empty, with 8 when the archive does not verify.
    """
    assert origin == "archive", "the only copy there is"
    return await restore_log(read_settings(), resume=resume, new_epoch=not as_it_was)


@command(log, "mend", _FOLDER, examples=["mpctl log mend ./kept"])
async def mend_(folder: Path) -> ToolResult:
    """Put back a log in which something stands that no kernel wrote. Services may go on: they halted, and wait.

    Seals everything before it in DIR, writes down beside it what stood behind, makes the stream anew from the seal, and
    begins a new epoch. No kernel can lead meanwhile. Killed half-way: the same command goes on with the same DIR.

    Exits with 3 when all verifies, when a kernel leads, or when something good would be lost.
    """
    return await mend(read_settings(), folder)


@command(log, "verifier", examples=["mpctl log verifier > verify_segment.py && python3 verify_segment.py ./segment"])
async def verifier() -> None:
    """Print the offline verifier: one file that checks a segment with a bare Python, on any machine."""
    click.echo(resources.files("mpoperator.log").joinpath("offline_verifier.py").read_text(), nl=False)
