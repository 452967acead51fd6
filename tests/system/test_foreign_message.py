"""Somebody writes into the log past the kernel: everybody halts and says so, and one command puts it back."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import httpx
import pytest
from mpbus.connect import connect
from mpbus.ingest import log_ingest
from mpd.ports import free_port
from mpd.services import concerns_of
from mpd.stack import Stack
from mpschema import subjects
from mpservice.rights import RESTORE

from tests.support.administration import operator_environment
from tests.support.users import KERNEL
from tests.support.waiting import eventually
from tools.operator.tests.transcripts import agree, run, steps

PAGE = Path(__file__).parents[2] / "context" / "operations" / "foreign-message.md"
FOREIGN = b"nobody of ours was me"
READERS = ("kernel-1", "kernel-2", "relay-1", "projector-1", "gateway-1")
SETTINGS = {"kernel": {"MP_LEASE_TTL_SECONDS": "1"}}


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    """One of everything that reads the log, and two kernels."""
    return Stack(tmp_path / "stack", kernels=2, relays=1, http_port=free_port(), settings=SETTINGS)


async def readiness(stack: Stack) -> dict[str, dict[str, object]]:
    async with httpx.AsyncClient(timeout=5) as http:
        services = [each for each in stack.services if each.name in READERS]
        return {each.name: (await http.get(f"{each.ops_url}/readyz")).json() for each in services}


async def test_from_a_foreign_message_to_a_working_system_by_the_runbook(stack: Stack, tmp_path: Path) -> None:
    await asyncio.to_thread(stack.start)
    try:
        await _told(stack, tmp_path)
    finally:
        await asyncio.to_thread(stack.kill)


async def _told(stack: Stack, tmp_path: Path) -> None:
    headers = {"authorization": f"Bearer {stack.root_key}"}
    pids = [each.pid for each in stack.services]
    async with httpx.AsyncClient(base_url=stack.url, headers=headers, timeout=30) as http:
        made = await http.post("/v1/workspaces?id=before", json={"name": "x"}, headers={"idempotency-key": "k1"})
        assert made.status_code == 201, made.text
        stolen = await connect(stack.bus(KERNEL), "stolen")
        js = stolen.jetstream(timeout=30)
        ack = await js.publish(await log_ingest(js, "0"), FOREIGN)
        await stolen.close()
        # Nothing is asked of the leader meanwhile: it looks by itself.
        await eventually(lambda: _all_halted(stack, ack.seq))
        hurt = await http.post("/v1/workspaces?id=hurt", json={"name": "x"}, headers={"prefer": "respond-async"})
        assert hurt.status_code == 202, hurt.text
        said = concerns_of(stack.kernels[0].ops_url)
        assert any("a foreign message stands there" in each for each in said), "what `mpd status` shows"
        doctor = json.loads(
            "".join(await asyncio.to_thread(run, "mpctl doctor --json", tmp_path, operator_environment(stack)))
        )
        mends = {check["name"]: check.get("mend", "") for check in doctor["checks"] if check["state"] == "problem"}
        assert {"log chain", "leader", "service kernel-1", "projection work"} <= mends.keys(), doctor
        assert (doctor["problems"], doctor["unknown"]) == (1, 0), "one cause is told once"
        for words in ("status", "top --once"):
            told = "\n".join(await asyncio.to_thread(run, f"mpctl {words}", tmp_path, operator_environment(stack)))
            assert told.count("a foreign message stands there") == 1, told
        assert not any("restart" in mend for mend in mends.values()), "which would halt again"
        await asyncio.to_thread(_follow_the_runbook, stack, tmp_path)
        await eventually(lambda: _all_ready(stack), 60)
        again = await http.post("/v1/workspaces?id=before", json={"name": "x"}, headers={"idempotency-key": "k1"})
        assert (again.status_code, again.json()["last_seq"]) == (201, made.json()["last_seq"]), (
            "what was answered stands"
        )
        after = await http.post("/v1/workspaces?id=after", json={"name": "x"})
        assert after.status_code == 201, after.text
        query = {"after_seq": after.json()["last_seq"]}
        await eventually(lambda: _names(http, query, {"before", "hurt", "after"}))
    assert [each.pid for each in stack.services] == pids, "nobody was started again"


async def _all_halted(stack: Stack, stream_seq: int) -> None:
    for name, facts in (await readiness(stack)).items():
        assert facts["ready"] is False, (name, facts)
        assert f"log position {stream_seq}: a foreign message stands there" in str(facts), (name, facts)


async def _all_ready(stack: Stack) -> None:
    for name, facts in (await readiness(stack)).items():
        assert facts["ready"] is True, (name, facts)


async def _names(http: httpx.AsyncClient, query: dict[str, int], wanted: set[str]) -> bool:
    answer = await http.get("/v1/workspaces", params=query)
    return {row["workspace_id"] for row in answer.json()["items"]} >= wanted


def _follow_the_runbook(stack: Stack, folder: Path) -> None:
    environment = operator_environment(stack)
    shown = list(steps(PAGE))
    assert len(shown) == 4
    for step in shown:
        printed = run(step.command, folder, environment)
        assert agree(step.output, printed), "\n".join([step.command, "shown:", *step.output, "printed:", *printed])


async def test_a_log_that_was_deleted_is_put_back_while_everything_runs(stack: Stack, tmp_path: Path) -> None:
    await asyncio.to_thread(stack.start)
    try:
        headers = {"authorization": f"Bearer {stack.root_key}"}
        async with httpx.AsyncClient(base_url=stack.url, headers=headers, timeout=30) as http:
            made = await http.post("/v1/workspaces?id=before", json={"name": "x"}, headers={"idempotency-key": "k1"})
            assert made.status_code == 201, made.text
            await eventually(lambda: _names(http, {"after_seq": made.json()["last_seq"]}, {"before"}))
            await _delete_the_log(stack)
            await eventually(lambda: _no_kernel_leads(stack))
            restored = await asyncio.to_thread(
                run, "mpctl log restore --from archive; echo $?", tmp_path, operator_environment(stack)
            )
            assert restored[-1] == "0", restored
            await eventually(lambda: _all_ready(stack), 60)
            after = await http.post("/v1/workspaces?id=after", json={"name": "x"})
            assert after.status_code == 201, after.text
    finally:
        await asyncio.to_thread(stack.kill)


async def _delete_the_log(stack: Stack) -> None:
    nc = await connect(stack.bus(RESTORE), "tests", writer=True)
    await nc.jetstream(timeout=30).delete_stream(subjects.log_stream("0"))
    await nc.close()


async def _no_kernel_leads(stack: Stack) -> None:
    for name, facts in (await readiness(stack)).items():
        if name.startswith("kernel"):
            assert facts["ready"] is False, (name, facts)
            assert "mpctl log restore --from archive" in str(facts["waits_for"]), (name, facts)
