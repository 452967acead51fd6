"""Two releases work on one log until an operator finalizes the upgrade; then the older one halts, and says why."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from mpcli.exits import Exit
from mpd.ports import free_port
from mpd.services import ServiceProcess
from mpd.stack import Stack
from mpschema import levels
from mpschema.system import FeatureLevelRaised

from tests.support import eventually
from tests.support.cluster import Cluster, running
from tests.support.releases import of_level, of_this_release
from tools.operator.tests.proving import Ran, mpctl
from tools.operator.tests.transcripts import agree, run, steps

PAGE = Path(__file__).parents[3] / "context" / "operations" / "upgrade.md"
BEFORE, NEWEST = levels.FEATURE_LEVEL - 1, levels.FEATURE_LEVEL
SETTINGS = {"kernel": {"MP_LEASE_TTL_SECONDS": "1.0"}}


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    """Services of the release before this one, on a log that they began."""
    stack = Stack(tmp_path, kernels=2, relays=1, http_port=free_port(), settings=SETTINGS)
    for service in stack.services:
        of_level(service, BEFORE)
    async with running(stack) as started:
        yield started


async def upgraded(*services: ServiceProcess) -> None:
    """Asked to go, and started from this build."""
    await asyncio.gather(*(asyncio.to_thread(of_this_release(service).restart) for service in services))


async def upgrade(cluster: Cluster, *arguments: str) -> Ran:
    """`mpctl upgrade …`, off the event loop."""
    return await asyncio.to_thread(mpctl, "upgrade", *arguments, "--json", home=cluster.stack.folder)


async def levels_of(cluster: Cluster) -> list[int]:
    """The feature level of every commit, in order."""
    return [commit.header.feature_level for commit in await cluster.log()]


async def facts(service: ServiceProcess) -> dict[str, Any]:
    """Return a service's report of itself."""
    async with httpx.AsyncClient(timeout=2) as client:
        answer: dict[str, Any] = (await client.get(f"{service.ops_url}/readyz")).json()
        return answer


async def test_two_releases_share_a_log_until_the_upgrade_is_finalized_by_the_runbook(
    cluster: Cluster, tmp_path: Path
) -> None:
    stack, (first, second) = cluster.stack, cluster.stack.kernels
    finished, cluster.load.pause_seconds = asyncio.Event(), 0.02
    working = asyncio.create_task(cluster.load.run(clients=4, commands=400, until=finished))
    leader = await cluster.leader()
    standby = second if leader is first else first
    await upgraded(*stack.projectors, *stack.relays, *stack.gateways, standby)
    assert await cluster.leader() is leader, "the older release led all the time"

    await asyncio.to_thread(leader.restart)
    await eventually(lambda: _leads(cluster, standby))
    await cluster.progressed(50)
    refused = await upgrade(cluster, "finalize")
    assert refused.code == Exit.REJECTED
    assert f"{leader.name} reads up to level {BEFORE}: upgrade it first" in refused.json["detail"]

    await asyncio.to_thread(standby.restart)
    await eventually(lambda: _leads(cluster, leader))
    await cluster.progressed(50)
    assert set(await levels_of(cluster)) == {BEFORE}, "the newer release wrote what the older one could read"

    await upgraded(leader)
    await asyncio.to_thread(_follow_the_runbook, stack, tmp_path)
    await cluster.progressed(50)
    finished.set()
    await working
    await cluster.audit()
    await _check_the_log(cluster)
    await _check_that_the_older_release_halts(cluster)


def _follow_the_runbook(stack: Stack, folder: Path) -> None:
    """Every command of the page, on an installation that runs the new release everywhere: it prints what is shown."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MP_", "MPCTL_"))}
    environment = kept | {
        "MP_HOME": str(stack.folder),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), kept["PATH"]]),
        "COLUMNS": "200",
    }
    shown = list(steps(PAGE))
    assert len(shown) >= 4
    for step in shown:
        printed = run(step.command, folder, environment)
        assert agree(step.output, printed), "\n".join([step.command, "shown:", *step.output, "printed:", *printed])


async def _leads(cluster: Cluster, kernel: ServiceProcess) -> bool:
    return (await cluster.health(kernel)).get("role") == "leader"


async def _check_the_log(cluster: Cluster) -> None:
    seen = await levels_of(cluster)
    assert seen == sorted(seen)
    assert set(seen) == {BEFORE, NEWEST}
    records = [record for commit in await cluster.log() for record in commit.records]
    raised = [each.event for each in records if isinstance(each.event, FeatureLevelRaised)]
    assert raised == [FeatureLevelRaised(level=level) for level in (BEFORE, NEWEST)]


async def _check_that_the_older_release_halts(cluster: Cluster) -> None:
    stack = cluster.stack
    leader = await cluster.leader()
    standby = next(kernel for kernel in stack.kernels if kernel is not leader)
    epoch = await cluster.epoch()
    (projector,), (gateway,), (relay,) = stack.projectors, stack.gateways, stack.relays
    older = [of_level(service, BEFORE) for service in (standby, relay, projector, gateway)]
    await asyncio.gather(*(asyncio.to_thread(service.stop) for service in older))
    for service in older:
        service.spawn()
    for service in (standby, relay):
        words = f"the log is at feature level {NEWEST}, this build reads up to level {BEFORE}"
        halted = await eventually(partial(_says, service, words))
        assert (halted["ready"], "halted_by" in halted) == (False, True)
    assert await cluster.epoch() == epoch, "it never led"
    await cluster.load.run(clients=2, commands=20)
    halted = await eventually(lambda: _says(projector, "reads up to level"), timeout=30)
    assert halted["ready"] is False
    broken = await eventually(lambda: _says(gateway, "reads up to level"), timeout=30)
    assert broken["ready"] is False


async def _says(service: ServiceProcess, words: str) -> dict[str, Any]:
    """For `eventually`: these words are in what the service says of itself."""
    said = await facts(service)
    assert words in json.dumps(said), said
    return said
