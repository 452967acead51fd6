"""The read models in Postgres, as role mp_gateway: one statement a question, one round trip.

Row-level security shows the rows of one workspace, one principal or one key, named by a setting that lives as long as
the statement's transaction. The setting is made in the same statement: what is read depends on its value by a lateral
join, so Postgres cannot look before it is made, and without it there are no rows.
"""

from dataclasses import fields

import asyncpg
import structlog
from mpbus.vitals import Vital
from mpservice.database import DRIVER_ERRORS, Connector
from mpservice.postgres import why_away
from mpviews.standing import BuildRow

_log = structlog.get_logger()
COMMAND_SECONDS = 5.0
OWNERSHIP = (
    "coalesce(item.lease_until > now(), false) AS owned, "
    "extract(epoch FROM now() - item.updated_at)::float8 AS silent_seconds"
)
"""The columns of a projection's row, called `item`, that tell of whoever folds it."""


class ReadModelsUnavailable(Exception):
    """Postgres did not answer: asking again later is safe."""


class _Connection(asyncpg.Connection):
    def get_reset_query(self) -> str:
        """Nothing to undo after use: no setting outlives its statement here."""
        return ""


class ReadModels:
    """A pool of connections. Starts also while Postgres is away, and finds it again by itself."""

    def __init__(self, dsn: str, connections: int) -> None:
        settings = {"default_transaction_read_only": "on", "jit": "off"}
        self._connector = Connector(
            dsn,
            "mpgateway",
            settings,
            kind=_Connection,
            connect_seconds=COMMAND_SECONDS,
            command_seconds=COMMAND_SECONDS,
        )
        self._connections = connections
        self.vital = Vital("postgres")

    async def start(self) -> None:
        """Prepare the pool; nothing connects before the first question."""
        self._pool = await asyncpg.create_pool(min_size=0, max_size=self._connections, connect=self._connector.connect)

    async def close(self) -> None:
        """Close all connections; what still runs is given up."""
        self._pool.terminate()

    async def fetch(self, sql: str, *arguments: object) -> list[asyncpg.Record]:
        """The rows of one statement. Raises `ReadModelsUnavailable`."""
        try:
            rows = await self._pool.fetch(sql, *arguments)
        except DRIVER_ERRORS as error:
            # What is wrong with a statement is ours to mend: whoever asks can do nothing but ask again later.
            if (reason := why_away(error)) is None:
                _log.error("postgres.refused", sqlstate=getattr(error, "sqlstate", None), error=str(error))
            else:
                self.vital.away(reason)
            raise ReadModelsUnavailable from error
        self.vital.answered()
        return rows


def told(record: asyncpg.Record) -> BuildRow:
    """Read what the row of a projection says."""
    return BuildRow(**{field.name: record[field.name] for field in fields(BuildRow)})


def scoped(setting: str, select: str) -> str:
    """A statement that reads under a setting: `$1` is its value, `scope.value` in `select` stands for it.

    Each `OFFSET 0` keeps a subquery a subquery: taken apart, its tables could be read before the setting is made.
    """
    return (
        f"SELECT found.* FROM (SELECT set_config('{setting}', $1, true) AS value OFFSET 0) AS scope "  # noqa: S608 - constants
        f"CROSS JOIN LATERAL ({select} OFFSET 0) AS found"
    )
