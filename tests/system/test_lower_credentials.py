"""Whoever takes a service over has what that service has: it can neither act as another nor end the installation."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator

import asyncpg
import httpx
import pytest
from mpbus.connect import BusClient, connect
from mpbus.errors import PermissionsViolation
from mpbus.ids import new_command_id
from mpbus.producer import REPLY_HEADER, CommandProducer
from mpbus.reader import LogReader
from mpd.ports import free_port
from mpd.servers.postgres import CONNECTIONS_MAX
from mpd.stack import Stack
from mpschema import codec, subjects
from mpschema.envelope import CommandEnvelope
from mpschema.principal import BindRole, Role
from mpschema.rejections import Code
from mpservice.rights import OPERATOR, PROVISION
from msgspec import Raw
from redis.asyncio import Redis
from redis.exceptions import NoPermissionError

from tests.support.users import GATEWAY, PROJECTOR, RELAY, WEBHOOKS

LOWER = (GATEWAY, PROJECTOR, WEBHOOKS, RELAY, OPERATOR, PROVISION)
"""Everybody but the kernel, and who restores while there is no kernel."""
LOG, LEASE = subjects.log_subject("0"), subjects.lease_subject("kernel-0")


@pytest.fixture(scope="module")
def taken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One of everything, with the workspace `acme` in it."""
    with Stack(tmp_path_factory.mktemp("taken"), relays=1, webhooks=1, http_port=free_port()) as stack:
        answer = httpx.post(
            f"{stack.url}/v1/workspaces?id=acme", json={"name": "Acme"}, headers=bearer(stack), timeout=30
        )
        answer.raise_for_status()
        yield stack


def bearer(stack: Stack) -> dict[str, str]:
    return {"authorization": f"Bearer {stack.root_key}"}


@pytest.fixture(params=LOWER)
async def lower(taken: Stack, request: pytest.FixtureRequest) -> AsyncIterator[BusClient]:
    """A connection with the credential of a lower service."""
    nc = await connect(taken.bus(request.param), "taken", writer=True)
    yield nc
    await nc.close()


async def write(stack: Stack) -> int:
    """A write of an honest client; the status it gets."""
    async with httpx.AsyncClient(base_url=stack.url, headers=bearer(stack), timeout=30) as http:
        return (await http.post("/v1/workspaces/acme/projects", json={"name": new_command_id()})).status_code


async def head_seq(stack: Stack) -> int:
    nc = await connect(stack.bus(OPERATOR), "looks")
    try:
        return (await LogReader(nc, stack.shard).head()).seq
    finally:
        await nc.close()


def granting(principal: str) -> CommandEnvelope:
    """A command that makes mallory an owner, as if this principal had given it."""
    return CommandEnvelope(
        command_id=new_command_id(),
        type="principal.bind_role",
        workspace_id="acme",
        principal=principal,
        target="user:mallory",
        payload=Raw(codec.encode(BindRole(Role.OWNER))),
    )


async def test_nothing_is_published_into_the_log(taken: Stack, lower: BusClient) -> None:
    with pytest.raises(PermissionsViolation):
        await lower.jetstream(timeout=30).publish(LOG, b"garbage")
    assert await write(taken) == 201


@pytest.mark.parametrize("verb", ["PURGE", "DELETE", "UPDATE", "MSG.DELETE"])
async def test_the_log_is_not_ended(taken: Stack, lower: BusClient, verb: str) -> None:
    if lower.options_given.user == PROVISION and verb == "UPDATE":
        return  # Who makes the streams may change their settings. It is no service, and runs at an upgrade alone.
    with pytest.raises(PermissionsViolation):
        await lower.request(f"$JS.API.STREAM.{verb}.MP_LOG_0", b'{"seq":2}', timeout=30)
    assert await write(taken) == 201


async def test_the_leader_is_not_deposed(taken: Stack, lower: BusClient) -> None:
    with pytest.raises(PermissionsViolation):
        await lower.jetstream(timeout=30).publish(LEASE, b"intruder")
    for question in ("CONSUMER.RESET.MP_CMD_0.kernel", "STREAM.PURGE.MP_CMD_0"):
        with pytest.raises(PermissionsViolation):
            await lower.request(f"$JS.API.{question}", b"", timeout=30)
    assert await write(taken) == 201


async def test_no_answer_is_forged_and_none_overheard(taken: Stack, lower: BusClient) -> None:
    heard: list[str] = []
    denied: list[PermissionsViolation] = []
    lower.all_denied = denied.append

    async def hear(msg: object) -> None:
        heard.append(str(msg))

    tried = ["mp.v1.>", "mp.v1.cmd.0", "mp.v1.reply.>", "_INBOX.>", "_INBOX.kernel.>", "$JS.ACK.>"]
    for subject in tried:
        await lower.subscribe(subject, cb=hear)
    with pytest.raises(PermissionsViolation):
        await lower.request("mp.v1.reply.gateway.x", b"[]", timeout=30)
    assert await write(taken) == 201
    assert {error.subject for error in denied if error.action == "subscribe"} == {each.lower() for each in tried}
    assert heard == []


@pytest.mark.parametrize("user", [name for name in LOWER if name != GATEWAY])
async def test_nobody_but_a_gateway_names_a_principal(taken: Stack, user: str) -> None:
    nc = await connect(taken.bus(user), "taken", writer=True)
    with pytest.raises(PermissionsViolation):
        await nc.jetstream(timeout=30).publish("mp.v1.cmd.0", codec.encode(granting("user:root")))
    await nc.close()


async def test_webhooks_is_webhooks_whoever_it_says_it_is(taken: Stack) -> None:
    nc = await connect(taken.bus(WEBHOOKS), "taken", writer=True)
    producer = CommandProducer(nc, "0", user=WEBHOOKS, instance="main")
    await producer.start()
    outcome = await producer.submit(granting("user:root"), 30)
    assert outcome.code is Code.DENIED
    assert "system:webhooks:main" in outcome.detail
    with pytest.raises(PermissionsViolation):
        await nc.jetstream(timeout=30).publish("mp.v1.svc.0.webhooks.another", codec.encode(granting("user:root")))
    await producer.close()
    await nc.close()


async def test_a_gateway_is_no_service(taken: Stack) -> None:
    nc = await connect(taken.bus(GATEWAY), "taken", writer=True)
    producer = CommandProducer(nc, "0")
    await producer.start()
    for claimed in ("system:webhooks", "system:webhooks:main"):
        assert (await producer.submit(granting(claimed), 30)).code is Code.DENIED
    await producer.close()
    await nc.close()


async def test_the_kernel_is_not_made_to_write_into_the_log_for_another(taken: Stack) -> None:
    """It answers where a message says, and it may publish into the log."""
    nc = await connect(taken.bus(GATEWAY), "taken", writer=True)
    before = await head_seq(taken)
    line = codec.encode(granting("user:nobody"))
    await nc.jetstream(timeout=30).publish("mp.v1.cmd.0", line, headers={REPLY_HEADER: LOG})
    await nc.close()
    assert await write(taken) == 201
    assert await head_seq(taken) >= before + 1


@pytest.mark.parametrize("user", ["gateway", "operator"])
async def test_the_lease_in_redis_is_the_kernels(taken: Stack, user: str) -> None:
    password = taken.credentials.redis_password_file(user).read_text()
    async with Redis(port=taken.valkey.port, username=user, password=password) as redis:
        for act in (
            redis.set("mp:lease:kernel-0", "intruder"),
            redis.lpush("mp:lease:kernel-0", "x"),
            redis.flushall(),
            redis.delete("mp:lease:kernel-0"),
            redis.client_pause(5_000),
        ):
            with pytest.raises(NoPermissionError):
                await act
    assert await write(taken) == 201


FOR_NO_SERVICE = (
    "UPDATE mp.tasks SET title = 'x'",
    "TRUNCATE mp.tasks",
    "DELETE FROM mp.log_events",
    "UPDATE mp.log_events SET event = event",
    "TRUNCATE mp.log_commits",
    "SET ROLE mp_owner",
    "SET SESSION AUTHORIZATION mp_owner",
    "ALTER TABLE mp.tasks DISABLE ROW LEVEL SECURITY",
    "CREATE TABLE mp.x (a int)",
    "CREATE TABLE public.x (a int)",
    "CREATE SCHEMA s",
    "COPY (SELECT 1) TO PROGRAM 'id'",
    "COPY (SELECT 1) TO '/tmp/x'",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT lo_import('/etc/passwd')",
    "SELECT * FROM pg_authid",
    "SELECT pg_reload_conf()",
    "CREATE EXTENSION dblink",
    "LOCK TABLE mp.log_events IN ACCESS EXCLUSIVE MODE",
    "CREATE TEMPORARY TABLE filling (a text)",
    "SELECT lo_create(0)",
    "SELECT lo_creat(-1)",
    "SELECT lo_from_bytea(0, 'filling')",
)


@pytest.mark.parametrize("role", ["mp_gateway", "mp_projector", "mp_webhooks"])
async def test_a_role_of_postgres_does_what_its_service_does(taken: Stack, role: str) -> None:
    connection = await asyncpg.connect(taken.postgres.dsn(role))
    own = {"UPDATE mp.tasks SET title = 'x'"} if role == "mp_projector" else set[str]()
    for other in {"mp_gateway", "mp_projector", "mp_webhooks"} - {role}:
        assert await _refused(connection, f"SET ROLE {other}"), other
    for statement in FOR_NO_SERVICE:
        if statement not in own:
            assert await _refused(connection, statement), statement
    await connection.close()


@pytest.mark.parametrize("role", ["mp_gateway", "mp_projector", "mp_webhooks"])
async def test_a_role_of_postgres_leaves_connections_to_the_others(taken: Stack, role: str) -> None:
    held: list[asyncpg.Connection] = []

    async def hold_all() -> None:
        while len(held) <= CONNECTIONS_MAX:
            held.append(await asyncpg.connect(taken.postgres.dsn(role)))

    try:
        with pytest.raises(asyncpg.TooManyConnectionsError, match=f'for role "{role}"'):
            await hold_all()
        for other in {"mp_owner", "mp_gateway", "mp_projector", "mp_webhooks"} - {role}:
            await (await asyncpg.connect(taken.postgres.dsn(other))).close()
    finally:
        for connection in held:
            await connection.close()


async def _refused(connection: asyncpg.Connection, statement: str) -> bool:
    transaction = connection.transaction()
    await transaction.start()
    try:
        await connection.execute(statement)
    except (asyncpg.InsufficientPrivilegeError, asyncpg.ReadOnlySQLTransactionError):
        return True
    except asyncpg.PostgresError as error:
        raise AssertionError(f"{statement}: {error!r}") from error
    finally:
        await transaction.rollback()
    return False


async def test_nobody_comes_in_without_a_password(taken: Stack) -> None:
    for role in ("mp_owner", "mp_gateway", "postgres"):
        for password in ("", "guess"):
            with pytest.raises((asyncpg.InvalidPasswordError, asyncpg.InvalidAuthorizationSpecificationError)):
                await asyncpg.connect(
                    host="127.0.0.1", port=taken.postgres.port, user=role, password=password, database="moduprompt"
                )
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(connect(taken.nats_url, "stranger"), 2)


def test_every_secret_is_its_owners_alone(taken: Stack) -> None:
    files = [*taken.credentials.folder.iterdir(), taken.folder / "operator.json", taken.nats.config_path]
    assert {path.name: oct(path.stat().st_mode & 0o777) for path in files if path.stat().st_mode & 0o077} == {}
    shown = json.dumps([list(map(str, process.command)) for process in taken.processes])
    secrets = [path.read_text().strip() for path in taken.credentials.folder.iterdir() if path.suffix != ".pub"]
    assert not [secret for secret in secrets if len(secret) < 200 and secret in shown]
