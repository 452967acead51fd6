"""Alive, ready, waiting, and the end: what every service does while its servers are away (operations/readiness.md)."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import asyncpg
import httpx
import pytest
from mpd.ports import HOST, free_port
from mpd.services import ServiceProcess
from mpd.stack import Stack
from mpservice.oneshot import STOPPED
from mpservice.services import NAMES

from tests.support.waiting import eventually, eventually_sync

ROLES = ("mp_projector", "mp_gateway", "mp_webhooks")
SERVICES = tuple(f"{name}-1" for name in NAMES)


@pytest.fixture
def cold(tmp_path: Path) -> Iterator[Stack]:
    """One of everything, and nothing of it runs."""
    stack = Stack(tmp_path / "cold", relays=1, webhooks=1, http_port=free_port())
    yield stack
    stack.kill()


def service(stack: Stack, name: str) -> ServiceProcess:
    process = stack.process(name)
    assert isinstance(process, ServiceProcess)
    return process


async def give_passwords(stack: Stack, passwords: Mapping[str, str]) -> None:
    owner = await asyncpg.connect(stack.postgres.dsn())
    for role in ROLES:
        await owner.execute(f"ALTER ROLE {role} PASSWORD '{passwords[role]}'")
    await owner.close()


@pytest.fixture
def deaf() -> Iterator[int]:
    """A port that takes connections and says nothing."""
    with socket.create_server((HOST, 0)) as listener:
        yield listener.getsockname()[1]


def answers(process: ServiceProcess, path: str) -> tuple[int, dict[str, object]]:
    answer = httpx.get(process.ops_url + path, timeout=5)
    return answer.status_code, answer.json()


def figure(process: ServiceProcess, name: str) -> float | None:
    """One sample of its metrics; the name with its labels."""
    text = httpx.get(process.ops_url + "/metrics", timeout=5).text
    return next((float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(name + " ")), None)


def says(process: ServiceProcess, status: int, fact: str, words: str) -> bool:
    found, facts = answers(process, "/readyz")
    return found == status and words in str(facts.get(fact))


@pytest.mark.parametrize("name", SERVICES)
def test_who_waits_for_its_servers_is_alive_not_ready_says_why_and_ends_on_a_signal(cold: Stack, name: str) -> None:
    process = service(cold, name)
    process.spawn()
    eventually_sync(lambda: says(process, 503, "waits_for", "NATS does not answer"))
    assert answers(process, "/healthz") == (200, {"status": "ok"})
    assert (figure(process, "mp_ready"), figure(process, 'mp_dependency_up{dependency="nats"}')) == (0, 0)
    assert process.stop() == 0


def test_servers_come_one_after_the_other_and_everything_gets_ready_by_itself(cold: Stack) -> None:
    for each in cold.services:
        each.spawn()
    pids = [each.pid for each in cold.services]
    projector, webhooks = service(cold, "projector-1"), service(cold, "webhooks-1")
    cold.nats.start()
    for each in (projector, webhooks):
        eventually_sync(partial(says, each, 503, "waits_for", "PostgreSQL does not answer"))
    cold.postgres.start()
    for each in (projector, webhooks):  # The roles are the migration's to make.
        eventually_sync(partial(says, each, 503, "waits_for", "PostgreSQL refuses our name or password"))
    cold.valkey.start()
    cold.prepare()
    for each in cold.services:
        each.wait_ready()
        process = service(cold, each.name)
        assert (figure(process, "mp_ready"), figure(process, 'mp_dependency_up{dependency="nats"}')) == (1, 1)
    assert [each.pid for each in cold.services] == pids, "nobody was started again"


async def test_a_gateway_without_postgres_takes_commands_and_says_what_does_not_go(stack: Stack) -> None:
    gateway = service(stack, "gateway-1")
    await asyncio.to_thread(stack.postgres.kill)
    headers = {"authorization": f"Bearer {stack.root_key}"}
    async with httpx.AsyncClient(base_url=stack.url, headers=headers, timeout=30) as http:
        await eventually(lambda: says(gateway, 200, "postgres", "PostgreSQL does not answer"))
        assert (await http.get("/readyz")).json() == {"status": "ok"}
        made = await http.post("/v1/workspaces?id=ws-ready", json={"name": "ready"})
        assert made.status_code == 201, made.text
        assert (await http.get("/v1/workspaces")).status_code == 503


async def test_a_password_that_changed_is_away_and_not_the_end(stack: Stack) -> None:
    """The database gives a role another password and ends its sessions, as when one is rotated."""
    await give_passwords(stack, dict.fromkeys(ROLES, "rotated"))
    await asyncio.to_thread(stack.postgres.restart)
    projector, gateway = service(stack, "projector-1"), service(stack, "gateway-1")
    before = projector.pid, gateway.pid
    await eventually(lambda: says(projector, 503, "postgres", "PostgreSQL refuses our name or password"))
    await eventually(lambda: says(gateway, 200, "postgres", "PostgreSQL refuses our name or password"))
    await give_passwords(stack, stack.postgres.passwords)
    await eventually(lambda: says(projector, 200, "postgres", "ok"))
    await eventually(lambda: says(gateway, 200, "postgres", "ok"))
    assert (projector.pid, gateway.pid) == before


@pytest.mark.parametrize(
    ("tool", "environment"),
    [
        (["mpservice", "provision"], {"MP_NATS_URL": "nats://{host}:{port}"}),
        (["mpprojector", "migrate"], {"MP_POSTGRES_OWNER_DSN": "postgresql://nobody@{host}:{port}/none"}),
    ],
    ids=["provision", "migrate"],
)
def test_a_tool_whose_server_hangs_ends_on_a_signal_with_a_sentence(
    tool: list[str], environment: dict[str, str], deaf: int
) -> None:
    variables = {name: value.format(host=HOST, port=deaf) for name, value in environment.items()}
    command = [sys.executable, "-m", *tool]
    with subprocess.Popen(command, env=variables, stderr=subprocess.PIPE, text=True) as running:
        eventually_sync(lambda: _handles_sigterm(running.pid))
        running.terminate()
        _, said = running.communicate(timeout=30)
    assert running.returncode == STOPPED
    assert said.splitlines()[-1].endswith("was stopped before it was done; it is safe to repeat")
    assert "Traceback" not in said


def _handles_sigterm(pid: int) -> bool:
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return bool(int(lines["SigCgt"], 16) & 1 << 14)
