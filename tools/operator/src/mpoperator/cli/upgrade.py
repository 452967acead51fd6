"""`mpctl upgrade`: which feature level the log is at, who reads what, and raising it when everybody can follow."""

from __future__ import annotations

import click
from mpcli.context import Asked
from mpschema import levels

from mpoperator.run import ToolResult, command
from mpoperator.site.settings import read_settings
from mpoperator.upgrade import finalize_upgrade, look_at_upgrade


@click.group()
def upgrade() -> None:
    """Show the log's feature level and who can read what, and raise it."""


@command(upgrade, "status", examples=["mpctl upgrade status", "mpctl upgrade status --json | jq .obstacles"])
async def status() -> ToolResult:
    """Show the log's feature level, which level each service reads, and what keeps the log from being raised.

    Every service whose operations address is known is asked (MP_SERVICES, or what mpd wrote). Changes nothing.
    """
    return await look_at_upgrade(read_settings())


@command(
    upgrade,
    "finalize",
    click.Option(
        ["--to"],
        type=click.IntRange(levels.FIRST_LEVEL + 1),
        default=levels.FEATURE_LEVEL,
        metavar="LEVEL",
        help=f"The feature level.  [default: {levels.FEATURE_LEVEL}, the newest this mpctl knows]",
    ),
    click.Option(
        ["--without"], multiple=True, metavar="SERVICE", help="It does not answer and is gone for good. Repeatable."
    ),
    click.Option(["--url"], metavar="URL", help="Address of a gateway.  [env: MPCTL_URL]"),
    click.Option(["--token"], metavar="KEY", help="API key of an operator of the deployment.  [env: MPCTL_TOKEN]"),
    examples=[
        "mpctl upgrade finalize",
        "mpctl upgrade finalize --json",
        "mpctl upgrade finalize --without kernel-3",
    ],
)
async def finalize(to: int, without: tuple[str, ...], url: str | None, token: str | None) -> ToolResult:
    """Raise the log's feature level: from then on what came with it may be recorded. There is no way back.

    Refused while a service reads less, or does not answer. A build that reads less halts at the log from then on.

    The command goes through a gateway, in the name of the key's principal, who must be an operator of the deployment.

    Exits with 3 when it is refused, with 0 when the log was there already.
    """
    return await finalize_upgrade(read_settings(), to, frozenset(without), Asked(url, token))
