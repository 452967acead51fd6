"""The tables' migrations: SQL files by number, each applied once, in order, and never changed afterwards."""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import resources

import asyncpg
import structlog
from mpservice.database import Connector
from mpviews import VIEWS
from mpviews.changes import View

from mpstore.readmodels.confinement import confine, limit_connections
from mpstore.readmodels.switch import make_missing

log = structlog.get_logger(__name__)

MEND = "run `python -m mpprojector migrate`"
PROJECTOR = "mp_projector"
GATEWAY = "mp_gateway"
WEBHOOKS = "mp_webhooks"
CONNECTION_SHARES = {GATEWAY: 0.5, PROJECTOR: 0.25, WEBHOOKS: 0.125}
"""Shares of the server's connections. The rest is for the owner, who must connect while a service uses up its own."""
_LOCK = 0x6D70_6D69  # "mpmi": one migration at a time in a database.
_ROLE_ATTEMPTS = 5
_NAME = re.compile(r"^(\d{4})_[a-z0-9_]+\.sql$")
_LEDGER = """
CREATE SCHEMA IF NOT EXISTS mp;
CREATE TABLE IF NOT EXISTS mp.schema_migrations (
    number integer PRIMARY KEY,
    name text NOT NULL,
    sha256 text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);
"""


class SchemaMismatch(Exception):
    """The database's tables are not those this build works with."""


@dataclass(frozen=True)
class Migration:
    """One file of `sql/`."""

    number: int
    name: str
    sql: str

    @property
    def sha256(self) -> str:
        """The digest that must never change once it is applied."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def migrations() -> list[Migration]:
    """Every migration of this build, in order, numbered from 1 without a gap."""
    folder = resources.files("mpstore.readmodels") / "sql"
    found = [
        Migration(int(match[1]), file.name, file.read_text(encoding="utf-8"))
        for file in sorted(folder.iterdir(), key=lambda file: file.name)
        if (match := _NAME.match(file.name))
    ]
    assert [migration.number for migration in found] == list(range(1, len(found) + 1)), "migrations have a gap"
    return found


async def migrate(
    dsn: str,
    *,
    projector_password: str | None = None,
    gateway_password: str | None = None,
    webhooks_password: str | None = None,
    views: Iterable[View] = VIEWS.values(),
) -> list[str]:
    """Bring the roles and tables up to this build, and return the names of the migrations applied now.

    A view whose version has no tables yet gets a build: projectors of this build fill it, beside the one that serves
    until somebody switches. Its name is returned, too.

    Safe to repeat and to run at the same time from several places. Raises `SchemaMismatch` when an applied migration
    differs from this build's, or the database is newer than this build; `asyncpg.PostgresError` for the rest.
    """
    connection = await Connector(dsn, "mpprojector migrate").connect()
    try:
        passwords = {PROJECTOR: projector_password, GATEWAY: gateway_password, WEBHOOKS: webhooks_password}
        for role, password in passwords.items():
            await _ensure_role(connection, role, password)
            await limit_connections(connection, role, CONNECTION_SHARES[role])
        await _exempt_from_row_security(connection, PROJECTOR)
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
            await confine(connection)
            return [*await _apply(connection), *await make_missing(connection, views)]
    finally:
        await connection.close()


async def require_current(connection: asyncpg.Connection) -> None:
    """Refuse to work on tables older than this build, or changed since. Raises `SchemaMismatch`."""
    try:
        applied = await _applied(connection)
    except (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError) as error:
        raise SchemaMismatch(f"the database has no tables of ours: {MEND}") from error
    missing = [migration.name for migration in migrations() if migration.number not in applied]
    if missing:
        raise SchemaMismatch(f"the database lacks {', '.join(missing)}: {MEND}")


async def _apply(connection: asyncpg.Connection) -> list[str]:
    await connection.execute(_LEDGER)
    applied, known, done = await _applied(connection), migrations(), []
    if unknown := set(applied) - {migration.number for migration in known}:
        raise SchemaMismatch(f"the database is newer than this build: it has migration {max(unknown)}")
    for migration in known:
        before = applied.get(migration.number)
        if before is None:
            await connection.execute(migration.sql)
            await connection.execute(
                "INSERT INTO mp.schema_migrations (number, name, sha256) VALUES ($1, $2, $3)",
                migration.number,
                migration.name,
                migration.sha256,
            )
            done.append(migration.name)
        elif before != migration.sha256:
            raise SchemaMismatch(f"{migration.name} was changed after it was applied to this database")
    return done


async def _applied(connection: asyncpg.Connection) -> dict[int, str]:
    rows = await connection.fetch("SELECT number, sha256 FROM mp.schema_migrations")
    return {row["number"]: row["sha256"] for row in rows}


async def _ensure_role(connection: asyncpg.Connection, role: str, password: str | None) -> None:
    """Create a role, or set its password. Roles are shared by all databases of a server, so others may do it too."""
    for attempt in range(_ROLE_ATTEMPTS):
        exists = await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", role)
        statement = f'{"ALTER" if exists else "CREATE"} ROLE "{role}" LOGIN'
        if password is not None:
            statement += f" PASSWORD {await connection.fetchval('SELECT quote_literal($1::text)', password)}"
        try:
            if not exists or password is not None:
                await connection.execute(statement)
        except (asyncpg.DuplicateObjectError, asyncpg.UniqueViolationError, asyncpg.InternalServerError):
            # Someone else created or altered it in this moment ("tuple concurrently updated").
            if attempt == _ROLE_ATTEMPTS - 1:
                raise
        else:
            return


async def _exempt_from_row_security(connection: asyncpg.Connection, role: str) -> None:
    """Let the one role that writes every tenant's rows use COPY, which row-level security excludes.

    Its policies allow it every row anyway. Where the owner may not grant this, it writes by INSERT: slower, same rows.
    """
    if await connection.fetchval("SELECT rolbypassrls FROM pg_roles WHERE rolname = $1", role):
        return
    for attempt in range(_ROLE_ATTEMPTS):
        try:
            await connection.execute(f'ALTER ROLE "{role}" BYPASSRLS')
        except asyncpg.InsufficientPrivilegeError:
            log.warning("migration.no_copy", role=role, reason="the owner may not grant BYPASSRLS")
            return
        except asyncpg.InternalServerError:
            if attempt == _ROLE_ATTEMPTS - 1:
                raise
        else:
            return
