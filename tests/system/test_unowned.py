"""A read model that nobody folds says so wherever somebody asks, against the log as it is at that moment."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
from mpd.ports import free_port
from mpd.stack import Stack
from prometheus_client.parser import text_string_to_metric_families

from tests.support.cluster import running
from tests.support.waiting import eventually
from tools.operator.tests.proving import mpctl

SETTINGS = {"projector": {"MP_PROJECTION_LEASE_SECONDS": "1"}}


async def rows_of(http: httpx.AsyncClient) -> dict[str, dict[str, object]]:
    return {row["name"]: row for row in (await http.get("/v1/projections")).raise_for_status().json()["items"]}


async def figures(url: str) -> dict[tuple[str, str], float]:
    async with httpx.AsyncClient(timeout=10) as http:
        text = (await http.get(f"{url}/metrics")).text
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return {(sample.name, sample.labels.get("projection", "")): sample.value for sample in samples}


async def test_events_after_the_last_projector_went_are_counted_behind_it(tmp_path: Path) -> None:
    name = "work"
    stack = Stack(tmp_path / "stack", http_port=free_port(), settings=SETTINGS)
    headers = {"authorization": f"Bearer {stack.root_key}"}
    async with running(stack) as cluster, httpx.AsyncClient(base_url=stack.url, headers=headers, timeout=30) as http:
        await cluster.load.run(clients=1, commands=20)
        await eventually(lambda: _all_are(http, "live"))
        await asyncio.to_thread(stack.process("projector-1").kill)
        before = (await rows_of(http))[name]["position"]
        await cluster.load.run(clients=1, commands=50)
        await eventually(lambda: _all_are(http, "unowned"))
        row = (await rows_of(http))[name]
        head = (await cluster.log())[-1].position.seq
        assert (row["position"], row["head"], row["lag_events"]) == (before, head, head - int(str(before)))
        assert int(str(row["lag_events"])) >= 50
        assert float(str(row["lag_seconds"])) > 0
        gateway = stack.gateways[0].ops_url
        lag, folded = ("mp_gateway_read_model_lag_events", name), ("mp_gateway_read_model_folded", name)
        await eventually(lambda: _is(gateway, {lag: float(str(row["lag_events"])), folded: 0.0}))
        async with httpx.AsyncClient() as ops:
            facts = (await ops.get(f"{gateway}/readyz")).json()
        assert facts["ready"] is True, "its commands and streams go on"
        assert any(f"projection {name} is unowned" in each for each in facts["concerns"])
        listed = await asyncio.to_thread(mpctl, "projection", "builds", "--json", home=stack.folder)
        build = next(each for each in listed.json["builds"] if each["name"] == name)
        assert (build["state"], build["lag_events"]) == ("unowned", row["lag_events"])


async def _all_are(http: httpx.AsyncClient, state: str) -> bool:
    return {row["state"] for row in (await rows_of(http)).values()} == {state}


async def _is(url: str, wanted: dict[tuple[str, str], float]) -> bool:
    return wanted.items() <= (await figures(url)).items()
