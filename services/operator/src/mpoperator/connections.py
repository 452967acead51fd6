"""Connections that either come soon or say that they do not: a person waits for the answer."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator

import asyncpg
from mpbus.connect import connect as connect_bus
from mpbus.database import Connector
from mpbus.errors import Denied, Unusable
from mpbus.options import NatsOptions
from mpbus.settings import redacted
from nats.aio.client import Client
from nats.errors import Error as NatsError

from mpoperator.errors import Refused, ServerGone

_CONNECT_SECONDS = 5.0
_STATEMENT_SECONDS = 600.0
_WORLD = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.OperatorInterventionError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
)
_SEES_ALL = """
SELECT NOT row_security_active('mp.log_events') OR pg_has_role(current_user, 'mp_projector', 'member')
"""


@contextlib.asynccontextmanager
async def bus(options: NatsOptions) -> AsyncIterator[Client]:
    """A connection to NATS. Raises `ServerGone`, and `Refused` where NATS does not let us."""
    try:
        nc = await asyncio.wait_for(connect_bus(options, "mpctl", writer=True), _CONNECT_SECONDS)
    except Unusable as error:
        raise Refused(str(error)) from error
    except (NatsError, OSError, TimeoutError) as error:
        raise ServerGone(unanswered(options, error)) from error
    try:
        with _as_gone("NATS", NatsError):
            try:
                yield nc
            except Denied as error:
                raise Refused(str(error)) from error
    finally:
        with contextlib.suppress(NatsError, OSError):
            await nc.close()


def unanswered(options: NatsOptions, error: BaseException) -> str:
    """What to say when no connection came about: a server that refuses us looks like one that is away."""
    shown = "the credential that was shown" if options.has_credential else "it was shown no credential"
    told = str(error) or f"nothing came of it ({shown}; see context/operations/credentials.md)"
    return f"NATS does not answer at {redacted(options.url)}: {told}"


@contextlib.asynccontextmanager
async def archive(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to the archive in PostgreSQL, as a role that sees all of it. Raises `ServerGone` or `Refused`."""
    with _as_gone("PostgreSQL", *_WORLD):
        connection = await _connected(dsn)
        try:
            await _check_sight(connection)
            yield connection
        finally:
            connection.terminate()


async def _connected(dsn: str) -> asyncpg.Connection:
    try:
        return await Connector(
            dsn, "mpctl", {"jit": "off"}, connect_seconds=_CONNECT_SECONDS, command_seconds=_STATEMENT_SECONDS
        ).connect()
    except OSError as error:
        raise ServerGone(f"PostgreSQL does not answer: {error}") from error


async def _check_sight(connection: asyncpg.Connection) -> None:
    """A role under row-level security would find an archive with holes, and call an honest copy wrong."""
    try:
        sees_all = await connection.fetchval(_SEES_ALL)
    except (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError) as error:
        raise Refused("this database holds no archive: is it migrated?") from error
    if not sees_all:
        raise Refused("this role does not see every row of the archive: use the DSN of mp_projector")


@contextlib.contextmanager
def _as_gone(name: str, *errors: type[Exception]) -> Iterator[None]:
    world: tuple[type[Exception], ...] = (*errors, ConnectionError, TimeoutError)
    try:
        yield
    except world as error:
        raise ServerGone(f"{name} does not answer: {str(error) or type(error).__name__}") from error
