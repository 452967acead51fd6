"""The real servers as our children: ready when start returns, durable over SIGKILL, gone when we are gone."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import asyncpg
import nats
import psutil
import pytest
from mpbus.connect import connect
from mpd.credentials import Credentials
from mpd.process import ChildProcess
from mpd.servers import NatsCluster, NatsServer, PostgresServer, ServerFailed, ValkeyServer
from mpd.servers.postgres import AUTHENTICATION_SECONDS_MAX
from mpd.servers.valkey import IDLE_SECONDS_MAX
from mpservice.settings import RedisSettings
from redis.asyncio import Redis

from tests.support import eventually, eventually_sync


async def _publish(url: str, subject: str, payload: bytes) -> None:
    async with await nats.connect(url.split(",")) as connection:
        await connection.jetstream().publish(subject, payload)


async def _stored(url: str, stream: str) -> int:
    async with await nats.connect(url.split(",")) as connection:
        return int((await connection.jetstream().stream_info(stream)).state.messages)


async def _create_stream(url: str, replicas: int = 1) -> None:
    async with await nats.connect(url.split(",")) as connection:
        await connection.jetstream().add_stream(name="KEPT", subjects=["kept"], num_replicas=replicas)


async def test_nats_keeps_acknowledged_messages_over_a_kill(own_nats: NatsServer) -> None:
    await _create_stream(own_nats.url)
    await _publish(own_nats.url, "kept", b"x")
    own_nats.kill()
    own_nats.start()
    assert await _stored(own_nats.url, "KEPT") == 1


async def test_streams_from_before_there_were_accounts_move_into_theirs(own_nats: NatsServer, tmp_path: Path) -> None:
    await _create_stream(own_nats.url)
    credentials = Credentials(tmp_path / "secrets")
    own_nats.accounts = credentials.nats_accounts()
    for _ in range(2):  # The second time they are there already.
        await asyncio.to_thread(own_nats.restart)
        nc = await connect(credentials.nats_options(own_nats.url, "restore"), "looks")
        names = await nc.request("$JS.API.INFO", b"", timeout=10)
        assert json.loads(names.data)["streams"] == 1
        await nc.close()


def test_what_nats_may_keep_does_not_depend_on_how_full_the_disk_was_at_its_start(own_nats: NatsServer) -> None:
    said = own_nats.monitor("/jsz")
    assert said is not None
    assert said["config"]["max_storage"] == shutil.disk_usage(own_nats.folder).total


async def test_a_cluster_replicates_and_survives_the_loss_of_one_node(own_nats_cluster: NatsCluster) -> None:
    lost, *others = own_nats_cluster.nodes
    await _create_stream(own_nats_cluster.url, replicas=3)
    lost.kill()
    await eventually(lambda: _publish(others[0].url, "kept", b"x"))  # The dead node may have led the stream.
    assert await _stored(others[1].url, "KEPT") >= 1


async def test_postgres_has_its_owner_and_database_and_keeps_rows_over_a_kill(own_postgres: PostgresServer) -> None:
    connection = await asyncpg.connect(own_postgres.dsn())
    assert await connection.fetchval("SELECT current_user || '@' || current_database()") == "mp_owner@moduprompt"
    assert await connection.fetchval("SHOW fsync") == "on"
    await connection.execute("CREATE TABLE kept AS SELECT 1 AS one")
    own_postgres.kill()
    own_postgres.start()
    again = await asyncpg.connect(own_postgres.dsn())
    assert await again.fetchval("SELECT one FROM kept") == 1
    await again.close()
    connection.terminate()


async def test_postgres_refuses_a_wrong_password(own_postgres: PostgresServer) -> None:
    wrong = own_postgres.dsn().replace(own_postgres.passwords["mp_owner"], "guessed")
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(wrong)


async def test_valkey_answers_and_forgets(own_valkey: ValkeyServer) -> None:
    async with Redis.from_url(own_valkey.url) as redis:
        await redis.set("key", "value")
    own_valkey.restart()
    async with Redis.from_url(own_valkey.url) as redis:
        assert await redis.get("key") is None


def test_a_paused_server_runs_but_does_not_answer(own_valkey: ValkeyServer) -> None:
    own_valkey.pause()
    assert own_valkey.running
    assert not own_valkey.is_ready()
    own_valkey.resume()
    eventually_sync(own_valkey.is_ready)


def test_a_postgres_that_hangs_is_neither_ready_nor_alive_and_says_so(own_postgres: PostgresServer) -> None:
    assert own_postgres.is_ready()
    os.kill(own_postgres.pid, signal.SIGSTOP)
    assert not own_postgres.is_ready()
    assert not own_postgres.is_alive()
    assert own_postgres.trouble().startswith("PostgreSQL does not answer within")
    own_postgres.resume()
    eventually_sync(own_postgres.is_ready)


async def test_a_postgres_whose_places_are_taken_is_alive(own_postgres: PostgresServer) -> None:
    own_postgres.stop()
    own_postgres.settings += ["-c", "max_connections=4", "-c", "superuser_reserved_connections=0"]
    own_postgres.start()
    taken = [await eventually(lambda: asyncpg.connect(own_postgres.dsn())) for _ in range(4)]
    assert not own_postgres.is_ready()
    assert own_postgres.is_alive()
    assert "too many clients" in own_postgres.trouble()
    for connection in taken:
        connection.terminate()
    await eventually(own_postgres.is_ready)


def test_who_does_not_say_who_it_is_holds_no_place_of_postgres_for_long(own_postgres: PostgresServer) -> None:
    with socket.create_connection(("127.0.0.1", own_postgres.port), timeout=4 * AUTHENTICATION_SECONDS_MAX) as silent:
        began = time.monotonic()
        silent.recv(1024)
        assert time.monotonic() - began < 3 * AUTHENTICATION_SECONDS_MAX


async def test_a_valkey_whose_places_are_taken_is_alive(own_valkey: ValkeyServer) -> None:
    async with Redis.from_url(own_valkey.url) as redis:
        await redis.config_set("maxclients", 1)
        assert not own_valkey.is_ready()
        assert own_valkey.is_alive()
        assert own_valkey.trouble() == "Valkey says: ERR max number of clients reached"
        await redis.config_set("maxclients", 100)
        assert own_valkey.is_ready()


async def test_who_says_nothing_holds_no_place_of_valkey_for_ever_and_ours_come_back(own_valkey: ValkeyServer) -> None:
    options = RedisSettings(redis_url=own_valkey.url).redis_options()
    ours = Redis.from_url(own_valkey.url, client_name="ours", **options)
    async with Redis.from_url(own_valkey.url) as admin, ours:
        assert (await admin.config_get("timeout"))["timeout"] == str(IDLE_SECONDS_MAX)
        await ours.set("key", "value")
        await admin.config_set("timeout", 1)
        await eventually(lambda: _has_left(admin, "ours"))
        assert await ours.get("key") == b"value"


async def _has_left(admin: Redis, name: str) -> bool:
    return name not in [client["name"] for client in await admin.client_list()]


def test_a_server_that_cannot_start_says_why(own_nats: NatsServer, tmp_path: Path) -> None:
    rival = NatsServer(tmp_path / "rival", port=own_nats.port)
    with pytest.raises(ServerFailed, match="address already in use") as failed:
        rival.start()
    assert failed.value.name == "nats"
    assert failed.value.exit_code == 1


def test_a_program_that_is_never_ready_is_killed_at_the_deadline(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import threading; print('hello', flush=True); threading.Event().wait()"]
    child = ChildProcess("idle", command, tmp_path / "idle.log", ready=lambda: "hello!" in child.log_tail())
    child.start_seconds_max = 0.5
    with pytest.raises(ServerFailed, match=r"did nothing for 0\.5 s\nhello"):
        child.start()
    assert child.exit_code == -signal.SIGKILL


def test_what_a_program_said_again_and_again_is_told_once(tmp_path: Path) -> None:
    say = "for n in range(9): print(f'{n} s: NATS is away', flush=True)\nraise SystemExit('gone')"
    child = ChildProcess("talker", [sys.executable, "-c", say], tmp_path / "log", ready=lambda: False)
    with pytest.raises(ServerFailed) as failed:
        child.start()
    assert failed.value.log_tail == "0 s: NATS is away\ngone"


def test_servers_die_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    script = (
        "import sys, threading; from pathlib import Path; from mpd.servers import *\n"
        "kinds = (NatsServer, PostgresServer, ValkeyServer)\n"
        "servers = [kind(Path(sys.argv[1]) / kind.__name__) for kind in kinds]\n"
        "starter = threading.Thread(target=lambda: [s.start() for s in servers]); starter.start(); starter.join()\n"
        "print(*[s.pid for s in servers], flush=True); threading.Event().wait()\n"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        children = [psutil.Process(int(pid)) for pid in parent.stdout.readline().split()]
        assert len(children) == 3
        assert all(child.is_running() for child in children)
        os.kill(parent.pid, signal.SIGKILL)
    eventually_sync(lambda: not any(_alive(child) for child in children))


def _alive(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
