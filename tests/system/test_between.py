"""Things that people put between us and the servers: PgBouncer, nginx before the gateway, a network that is cut."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import httpx
import pytest
from httpx_sse import aconnect_sse
from mpd.ports import free_port
from mpd.stack import Stack
from mpgateway.database import ReadModels, ReadModelsUnavailable
from mpservice.database import Connector, PooledConnection
from mpstore import readmodels as projector
from mpstore.readmodels.ledger import PostgresLedger
from mpstore.readmodels.postgres import asked
from mpwebhooks import ports as webhooks
from mpwebhooks.adapters.postgres import Database as DeliveriesPool
from websockets.asyncio.client import connect

from tests.support import Database, eventually
from tests.support.nginx import Nginx
from tests.support.pgbouncer import SESSIONS, PgBouncer, put_between
from tests.support.programs import program
from tests.support.terminal import PROGRAM

QUESTIONS = 200
MARKS = 5
RAISE = """
CREATE FUNCTION public.fail_with(state text) RETURNS int LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION USING ERRCODE = state; END $$
"""


@pytest.fixture
def pooled_stack(tmp_path: Path) -> Iterator[Stack]:
    """One of everything, with PgBouncer between its services and PostgreSQL."""
    stack = Stack(tmp_path / "stack", webhooks=1, http_port=free_port())
    put_between(stack, tmp_path / "pgbouncer", program("pgbouncer"))
    stack.start()
    yield stack
    stack.kill()


@pytest.fixture
async def api(pooled_stack: Stack) -> AsyncIterator[httpx.AsyncClient]:
    """The API of that stack, as user:root, with a workspace and a project in it."""
    headers = {"authorization": f"Bearer {pooled_stack.root_key}"}
    async with httpx.AsyncClient(base_url=pooled_stack.url, headers=headers, timeout=30) as http:
        await _made(http, "/v1/workspaces?id=ws", {"name": "ws"})
        await _made(http, "/v1/workspaces/ws/projects?id=core", {"name": "core"})
        yield http


async def _made(http: httpx.AsyncClient, path: str, body: dict[str, object]) -> int:
    answer = await http.post(path, json=body)
    assert answer.status_code == 201, answer.text
    return int(answer.json()["last_seq"])


@pytest.mark.needs("pgbouncer")
async def test_more_questions_than_sessions_are_answered_through_a_pooler(
    pooled_stack: Stack, api: httpx.AsyncClient
) -> None:
    last = await _made(api, "/v1/workspaces/ws/tasks?id=t1", {"project_id": "core", "title": "One"})
    pages = (
        "tasks?limit=3",
        "tasks/t1",
        "projects",
        f"tasks/t1?after_seq={last}",
        f"tasks/t1?at_seq={last}",
        "sessions",
    )
    paths = [f"/v1/workspaces/ws/{pages[number % len(pages)]}" for number in range(QUESTIONS)]
    answers = await asyncio.gather(*(api.get(path) for path in paths))
    assert Counter(answer.status_code for answer in answers) == {200: QUESTIONS}
    assert QUESTIONS > SESSIONS
    environment = os.environ | {
        "MP_HOME": str(pooled_stack.folder),
        "MP_POSTGRES_OWNER_DSN": _pooler(pooled_stack).through(pooled_stack.postgres.dsn()),
    }
    command = [str(PROGRAM), "doctor", "--json"]
    told = await asyncio.to_thread(subprocess.run, command, env=environment, capture_output=True, text=True)
    checks = {check["name"]: check for check in json.loads(told.stdout)["checks"]}
    assert "answers through a pooler" in checks["postgres"]["detail"], told.stdout


@pytest.mark.needs("pgbouncer")
async def test_a_pooler_that_dies_is_away_and_found_again(pooled_stack: Stack, api: httpx.AsyncClient) -> None:
    await asyncio.to_thread(_pooler(pooled_stack).kill)
    last = await _made(api, "/v1/workspaces/ws/tasks?id=t2", {"project_id": "core", "title": "Two"})
    answer = await api.get("/v1/workspaces/ws/tasks")
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    await asyncio.to_thread(_pooler(pooled_stack).start)

    async def read_again() -> bool:
        return (await api.get(f"/v1/workspaces/ws/tasks/t2?after_seq={last}")).status_code == 200

    await eventually(read_again, 60)


def _pooler(stack: Stack) -> PgBouncer:
    pooler = stack.process("pgbouncer")
    assert isinstance(pooler, PgBouncer)
    return pooler


@pytest.mark.needs("pgbouncer")
async def test_who_stands_between_is_found_out_also_where_nothing_is_refused(
    database: Database, pgbouncer: PgBouncer
) -> None:
    """A pooler may be told to ignore settings: then only its process ids give it away."""
    refused = Connector(pgbouncer.through(database.projector_dsn), "test", {"jit": "off"})
    ignored = Connector(pgbouncer.through(database.projector_dsn), "test")
    direct = Connector(database.projector_dsn, "test", {"jit": "off"})
    for connector, pooled in ((refused, True), (ignored, True), (direct, False)):
        connection = await connector.connect()
        assert (type(connection) is PooledConnection, connector.pooled) == (pooled, pooled)
        if connector is not ignored:
            assert await connection.fetchval("SELECT current_setting('jit')") == "off"
        await connection.close()


def _states() -> list[str]:
    kinds = [getattr(asyncpg, name) for name in dir(asyncpg.exceptions) if hasattr(asyncpg, name)]
    states = {getattr(kind, "sqlstate", None) for kind in kinds if isinstance(kind, type)}
    return sorted(state for state in states if state and state[:2] not in {"00", "01", "02"})


async def test_whatever_the_database_answers_a_question_is_answered_by_a_typed_problem(
    empty_database: Database,
) -> None:
    owner = await asyncpg.connect(empty_database.owner_dsn)
    await owner.execute(RAISE)
    await owner.close()
    models = ReadModels(empty_database.gateway_dsn, 2)
    await models.start()
    states = _states()
    assert len(states) > 200
    try:
        for state in states:
            with pytest.raises(ReadModelsUnavailable):
                await models.fetch("SELECT public.fail_with($1)", state)
        with pytest.raises(ReadModelsUnavailable):
            await models.fetch("SELECT $1::int", "not a number")
    finally:
        await models.close()


async def test_whatever_the_database_answers_projectors_and_webhooks_know_it(empty_database: Database) -> None:
    """A worker that meets an error it does not know would end with a traceback, and be started again for ever."""
    owner = await asyncpg.connect(empty_database.owner_dsn)
    await owner.execute(RAISE)
    pool = DeliveriesPool(empty_database.owner_dsn)
    await pool.start()
    try:
        for state in _states():
            with pytest.raises(projector.ProjectionsUnavailable, match=r"^(PostgreSQL|the database)"), asked():
                await owner.fetch("SELECT public.fail_with($1)", state)
            with pytest.raises(webhooks.DeliveriesUnavailable, match=r"^(PostgreSQL|the database)"):
                async with pool.connection() as connection:
                    await connection.fetch("SELECT public.fail_with($1)", state)
        with pytest.raises(webhooks.NotAnswerable, match="refuses what we ask"):
            async with pool.connection() as connection:
                await connection.fetch("SELECT $1::int", "not a number")
    finally:
        await pool.close()
        await owner.close()


async def test_a_projector_that_may_not_note_itself_waits_and_says_so(database: Database) -> None:
    """What the rows of the ledger are refused for is no projection's fault: nothing halts, and the process lives."""
    ledger = PostgresLedger(database.projector_dsn)
    await ledger.register([])
    owner = await asyncpg.connect(database.owner_dsn)
    await owner.execute("ALTER TABLE mp.projectors ADD CONSTRAINT nobody CHECK (node = '')")
    with pytest.raises(projector.ProjectionsUnavailable, match="nobody"):
        await ledger.attend("one")
    await owner.execute("ALTER TABLE mp.projectors DROP CONSTRAINT nobody")
    await ledger.attend("one")
    await ledger.close()
    await owner.close()


@pytest.mark.needs("nginx")
async def test_events_come_at_once_through_nginx_with_its_defaults(stack: Stack, tmp_path: Path) -> None:
    nginx = Nginx(tmp_path / "nginx", program("nginx"), stack.gateways[0].port)
    await asyncio.to_thread(nginx.start)
    headers = {"authorization": f"Bearer {stack.root_key}"}
    try:
        async with httpx.AsyncClient(base_url=nginx.url, headers=headers, timeout=30) as http:
            await _made(http, "/v1/workspaces?id=ws", {"name": "ws"})
            await _made(http, "/v1/workspaces/ws/projects?id=core", {"name": "core"})
            async with aconnect_sse(
                http, "GET", "/v1/workspaces/ws/events", headers={"last-event-id": "0:0"}
            ) as source:
                events = source.aiter_sse()
                for number in range(MARKS):  # Each comes before the next one is made: nothing waits in a buffer.
                    await _made(http, "/v1/workspaces/ws/tasks", {"project_id": "core", "title": f"mark {number}"})
                    assert f"mark {number}" in await _next_event(events)
            long = await http.post("/v1/workspaces/ws/tasks", json={"project_id": "core", "title": "x" * 900_000})
            assert long.status_code in (413, 422), long.text
            again = await http.get("/v1/workspaces/ws/tasks")
            assert again.status_code == 200
    finally:
        nginx.kill()


@pytest.mark.needs("nginx")
async def test_events_come_at_once_through_a_websocket_behind_nginx(stack: Stack, tmp_path: Path) -> None:
    nginx = Nginx(tmp_path / "nginx", program("nginx"), stack.gateways[0].port, sockets=True)
    await asyncio.to_thread(nginx.start)
    headers = {"authorization": f"Bearer {stack.root_key}"}
    try:
        async with httpx.AsyncClient(base_url=nginx.url, headers=headers, timeout=30) as http:
            await _made(http, "/v1/workspaces?id=sockets", {"name": "ws"})
            await _made(http, "/v1/workspaces/sockets/projects?id=core", {"name": "core"})
            url = nginx.url.replace("http", "ws") + "/v1/workspaces/sockets/events/ws"
            async with connect(url, additional_headers=headers) as ear:
                await ear.recv()
                for number in range(MARKS):
                    await _made(http, "/v1/workspaces/sockets/tasks", {"project_id": "core", "title": f"mark {number}"})
                    async with asyncio.timeout(30):
                        while f"mark {number}" not in str(await ear.recv()):
                            pass
    finally:
        nginx.kill()


async def _next_event(events: AsyncIterator[object]) -> str:
    async with asyncio.timeout(30):
        async for event in events:
            if "mark" in (data := str(getattr(event, "data", ""))):
                return data
    raise AssertionError("the stream ended")
