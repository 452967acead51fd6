"""Connections that either come soon or say that they do not: a person waits for the answer."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from urllib.parse import urlsplit

import asyncpg
from mpbus.connect import REFUSES
from mpbus.connect import connect as connect_bus
from mpbus.errors import LogUnavailable, PermissionsViolation, Unusable
from mpbus.options import NatsOptions, redacted
from mpbus.vitals import Vital
from mpservice.database import Connector
from mpstore.archive import ArchiveUnavailable
from nats.aio.client import Client
from nats.errors import Error as NatsError

from mpoperator.errors import NoArchive, ServerGone, ToolRefused, said

_CONNECT_SECONDS = 5.0
_LISTEN_SECONDS = 1.0
_PORT = 4222
"""The port of NATS where an address names none."""
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
    """A connection to NATS. Raises `ServerGone`, and `ToolRefused` where NATS does not let us."""
    try:
        nc = await answering(options, _CONNECT_SECONDS)
    except Unusable as error:
        raise ToolRefused(str(error)) from error
    try:
        with as_gone("NATS", NatsError, LogUnavailable):
            try:
                yield nc
            except PermissionsViolation as error:
                raise ToolRefused(str(error)) from error
    finally:
        with contextlib.suppress(NatsError, OSError):
            await nc.close()


async def answering(options: NatsOptions, seconds: float) -> Client:
    """A connection to NATS within so many seconds. Raises `ServerGone`, which says what is there instead."""
    vital = Vital("nats")
    try:
        return await asyncio.wait_for(connect_bus(options, "mpctl", writer=True, vital=vital), seconds)
    except (NatsError, OSError, TimeoutError) as error:
        raise ServerGone(await _instead(options, vital, error)) from error


async def _instead(options: NatsOptions, vital: Vital, error: BaseException) -> str:
    """Return why no connection came about: we are refused, nothing listens, or what listens does not answer."""
    if REFUSES in vital.state:
        shown = "" if options.has_credential else "; none was shown"
        return f"{vital.state}{shown}; see context/operations/credentials.md"
    where = redacted(options.url)
    try:
        await asyncio.wait_for(_listened(options), _LISTEN_SECONDS)
    except OSError as nobody:  # A time-out is one, too.
        return f"NATS is away: nothing listens at {where} ({str(nobody) or 'no answer'})"
    why = str(error) or vital.state
    return f"something listens at {where}, and does not answer as NATS does: {why}"


async def _listened(options: NatsOptions) -> None:
    """Return where any of the servers takes a connection. Raises `OSError` where none does."""
    found: OSError = ConnectionError("no address")
    for each in options.url.split(","):
        address = urlsplit(each.strip())
        try:
            _, writer = await asyncio.open_connection(address.hostname, address.port or _PORT)
        except OSError as error:
            found = error
            continue
        writer.close()
        await writer.wait_closed()
        return
    raise found


@contextlib.asynccontextmanager
async def archive(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to the archive in PostgreSQL, as a role that sees all of it. Raises `ServerGone`, `ToolRefused`."""
    with as_gone("PostgreSQL", *_WORLD):
        connection = await _connected(dsn)
        try:
            await _check_sight(connection)
            try:
                yield connection
            except ArchiveUnavailable as error:
                raise ServerGone(str(error)) from error
        finally:
            connection.terminate()


async def _connected(dsn: str) -> asyncpg.Connection:
    try:
        return await Connector(
            dsn, "mpctl", {"jit": "off"}, connect_seconds=_CONNECT_SECONDS, command_seconds=_STATEMENT_SECONDS
        ).connect()
    except OSError as error:
        raise ServerGone(f"PostgreSQL does not answer: {said(error)}") from error


async def _check_sight(connection: asyncpg.Connection) -> None:
    """A role under row-level security would find an archive with holes, and call an honest copy wrong."""
    try:
        sees_all = await connection.fetchval(_SEES_ALL)
    except (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError) as error:
        raise NoArchive("this database holds no archive: is it migrated?") from error
    if not sees_all:
        raise ToolRefused("this role does not see every row of the archive: use the DSN of mp_projector")


@contextlib.contextmanager
def as_gone(name: str, *errors: type[Exception]) -> Iterator[None]:
    """Raise `ServerGone` for each of these errors, and for a connection that breaks."""
    world: tuple[type[Exception], ...] = (*errors, ConnectionError, TimeoutError)
    try:
        yield
    except world as error:
        raise ServerGone(f"{name} does not answer: {said(error)}") from error
