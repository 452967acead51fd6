"""PostgreSQL: the schema, who may do what, and that nobody sees another tenant's rows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import asyncpg
from mpservice.database import is_direct
from mpservice.services import DATABASE_ROLES
from mpstore.readmodels.migrations import GATEWAY, PROJECTOR, SchemaMismatch, migrations, require_current

from mpoperator.doctor.report import DoctorCheck, ok, problem, unknown
from mpoperator.site.cluster import Cluster

_APPLIED = "SELECT number, name, sha256 FROM mp.schema_migrations ORDER BY number"
_ROLES = """
SELECT rolname, rolsuper, rolbypassrls, rolcanlogin FROM pg_roles WHERE rolname = ANY($1::text[]) ORDER BY rolname
"""
_ABOVE = """
SELECT o.rolname FROM pg_roles AS o
WHERE o.rolname <> $1 AND o.rolname LIKE 'mp\\_%' AND pg_has_role($1, o.oid, 'member')
"""
_TABLES = """
SELECT c.oid, c.relname, c.relrowsecurity, c.relforcerowsecurity, c.relowner::regrole::text AS owner,
    EXISTS (SELECT FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attname = 'workspace_id') AS tenant
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = 'mp' AND c.relkind IN ('r', 'p') ORDER BY c.relname
"""
_POLICIES = """
SELECT p.polname, c.relname, pg_get_expr(p.polqual, p.polrelid) AS shown,
    ('mp_gateway'::regrole = ANY(p.polroles) OR 0::oid = ANY(p.polroles)) AS gateway
FROM pg_policy AS p JOIN pg_class AS c ON c.oid = p.polrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = 'mp' ORDER BY c.relname, p.polname
"""
_WRITES = """
SELECT c.relname, string_agg(p, ', ' ORDER BY p) AS privileges
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace,
    unnest(ARRAY['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']) AS p
WHERE n.nspname = 'mp' AND c.relkind IN ('r', 'p') AND (has_table_privilege($1, c.oid, p)
    OR (p IN ('INSERT', 'UPDATE') AND has_any_column_privilege($1, c.oid, p)))
GROUP BY c.relname ORDER BY c.relname
"""
_ARCHIVE = ("log_commits", "log_events")
_DURABLE = ("fsync", "full_page_writes")


async def database_checks(cluster: Cluster) -> list[DoctorCheck]:
    """Everything about the database; later checks are left out where an earlier one makes them void."""
    if cluster.database is None:
        dsn = cluster.settings.postgres_owner_dsn or cluster.settings.postgres_dsn
        if dsn is None:
            return [unknown("postgres", cluster.errors["postgres"])]
        return [problem("postgres", cluster.errors["postgres"], cluster.mend_server("postgres"))]
    checks = [await _durable(cluster, cluster.database), await _schema(cluster, cluster.database)]
    if checks[-1].state == "problem":
        return checks
    looks: tuple[Callable[[Cluster, asyncpg.Connection], Awaitable[list[DoctorCheck]]], ...] = (_roles, _rows, _grants)
    for look in looks:
        checks += await look(cluster, cluster.database)
    return checks


async def _durable(cluster: Cluster, database: asyncpg.Connection) -> DoctorCheck:
    off = [name for name in _DURABLE if await database.fetchval("SELECT current_setting($1)", name) != "on"]
    version = await database.fetchval("SELECT current_setting('server_version')")
    if off:
        mend = cluster.sql(f"ALTER SYSTEM SET {off[0]} = on") + " && " + cluster.sql("SELECT pg_reload_conf()")
        return problem("postgres", f"{', '.join(off)} is off: a crash can destroy the archive", mend)
    way = "directly" if await is_direct(database) else "through a pooler, where every statement is a transaction"
    return ok("postgres", f"answers {way}, version {version}")


async def _schema(cluster: Cluster, database: asyncpg.Connection) -> DoctorCheck:
    mend = cluster.migrate
    try:
        await require_current(database)
    except SchemaMismatch as error:
        return problem("schema", str(error).partition(": run")[0], mend)
    applied = {row["number"]: row for row in await database.fetch(_APPLIED)}
    ours = {migration.number: migration for migration in migrations()}
    if newer := [row["name"] for number, row in applied.items() if number not in ours]:
        return problem("schema", f"has {newer[0]}, which this build does not know", "use mpctl of the newer release")
    changed = [m.name for m in ours.values() if applied[m.number]["sha256"] != m.sha256]
    if changed:
        return problem("schema", f"{changed[0]} is not the migration that was applied", "use the release that made it")
    return ok("schema", f"{len(ours)} migrations, the newest {max(ours.values(), key=lambda m: m.number).name}")


async def _roles(cluster: Cluster, database: asyncpg.Connection) -> list[DoctorCheck]:
    rows = {row["rolname"]: row for row in await database.fetch(_ROLES, list(DATABASE_ROLES))}
    checks = []
    for role in DATABASE_ROLES:
        name, row = f"role {role}", rows.get(role)
        if row is None:
            checks.append(problem(name, "does not exist", cluster.migrate))
        elif row["rolsuper"]:
            checks.append(problem(name, "is a superuser", cluster.sql(f"ALTER ROLE {role} NOSUPERUSER")))
        elif not row["rolcanlogin"]:
            checks.append(problem(name, "may not log in", cluster.sql(f"ALTER ROLE {role} LOGIN")))
        elif role != PROJECTOR and row["rolbypassrls"]:
            detail = "bypasses row-level security: it sees every tenant"
            checks.append(problem(name, detail, cluster.sql(f"ALTER ROLE {role} NOBYPASSRLS")))
        elif above := await database.fetchval(_ABOVE, role):
            checks.append(problem(name, f"is a member of {above}", cluster.sql(f"REVOKE {above} FROM {role}")))
        else:
            checks.append(ok(name, "is there, with no more rights than it needs"))
    return checks


async def _rows(cluster: Cluster, database: asyncpg.Connection) -> list[DoctorCheck]:
    """Row-level security on every table that holds tenants' rows."""
    tables = [row for row in await database.fetch(_TABLES) if row["tenant"]]
    policies = await database.fetch(_POLICIES)
    checks = []
    for row in tables:
        table = row["relname"]
        if not (row["relrowsecurity"] and row["relforcerowsecurity"]):
            mend = f"ALTER TABLE mp.{table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY"
            how = "off" if not row["relrowsecurity"] else "not forced"
            checks.append(problem(f"rows {table}", f"row-level security is {how}", cluster.sql(mend)))
    for row in policies:
        if row["gateway"] and (row["shown"] is None or row["shown"] == "true"):
            mend = cluster.sql(f"DROP POLICY {row['polname']} ON mp.{row['relname']}")
            detail = f"the policy {row['polname']} shows the gateway every tenant's rows"
            checks.append(problem(f"rows {row['relname']}", detail, mend))
    return checks or [ok("rows", f"row-level security is forced on {len(tables)} tables")]


async def _grants(cluster: Cluster, database: asyncpg.Connection) -> list[DoctorCheck]:
    checks = []
    for row in await database.fetch(_WRITES, GATEWAY):
        statement = f"REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON mp.{row['relname']} FROM {GATEWAY}, PUBLIC"
        checks.append(
            problem(f"grants {row['relname']}", f"the gateway may {row['privileges']}", cluster.sql(statement))
        )
    if await database.fetchval("SELECT has_schema_privilege($1, 'mp', 'CREATE')", GATEWAY):
        mend = cluster.sql(f"REVOKE CREATE ON SCHEMA mp FROM {GATEWAY}, PUBLIC")
        checks.append(problem("grants", "the gateway may make tables", mend))
    for row in await database.fetch(_WRITES, PROJECTOR):
        beyond = [each for each in row["privileges"].split(", ") if each != "INSERT"]
        if row["relname"] in _ARCHIVE and beyond:
            statement = f"REVOKE {', '.join(beyond)} ON mp.{row['relname']} FROM {PROJECTOR}, PUBLIC"
            detail = f"the projector may {', '.join(beyond)} what is archived"
            checks.append(problem(f"grants {row['relname']}", detail, cluster.sql(statement)))
    return checks or [ok("grants", "the gateway can write nothing, the archive is appended only")]
