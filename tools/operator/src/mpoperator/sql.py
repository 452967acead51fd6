"""`python -m mpoperator.sql STATEMENT`: run one statement as the owner of the tables.

It goes where `mpctl` goes, and needs neither psql nor a variable: so what `mpctl doctor` says to type works here.
"""

from __future__ import annotations

import sys

import asyncpg
import msgspec
from mpcli.exits import Exit
from mpservice.database import Connector

from mpoperator.errors import ToolRefused
from mpoperator.run import ToolResult, perform
from mpoperator.site.connections import as_gone
from mpoperator.site.settings import read_settings

_USAGE = "usage: python -m mpoperator.sql STATEMENT\n"
_CONNECT_SECONDS, _STATEMENT_SECONDS = 5.0, 600.0


class Ran(ToolResult, frozen=True, kw_only=True):
    """A statement that was run: what PostgreSQL calls it, and the rows it gave, each value as JSON."""

    status: str
    rows: list[list[str]]

    def show(self) -> None:
        """Rows alone where there are any: a script wants nothing else."""
        lines = ["\t".join(row) for row in self.rows] or [self.status]
        sys.stdout.write("".join(f"{line}\n" for line in lines))


async def run(statement: str) -> Ran:
    """Run it. Raises `ToolRefused` with PostgreSQL's words, `ServerGone` or `NotConfigured`."""
    dsn = read_settings().owner_dsn
    with as_gone("PostgreSQL", OSError, asyncpg.InterfaceError, asyncpg.PostgresConnectionError):
        connector = Connector(dsn, "mpctl", connect_seconds=_CONNECT_SECONDS, command_seconds=_STATEMENT_SECONDS)
        try:
            connection = await connector.connect()
            try:
                prepared = await connection.prepare(statement)
                found = await prepared.fetch()
                return Ran(
                    status=prepared.get_statusmsg() or "", rows=[[_shown(value) for value in row] for row in found]
                )
            finally:
                connection.terminate()
        except asyncpg.PostgresConnectionError:
            raise
        except asyncpg.PostgresError as error:
            raise ToolRefused(f"PostgreSQL refuses it: {error}") from error


def _shown(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value, enc_hook=str).decode()


def main(arguments: list[str]) -> int:
    """Exit code: 0 when done, 2 for wrong usage, 3 where PostgreSQL refuses, 7 where it does not answer."""
    if len(arguments) != 1 or arguments[0].startswith("-"):
        sys.stderr.write(_USAGE)
        return Exit.USAGE
    return perform(run, False, {"statement": arguments[0]})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
