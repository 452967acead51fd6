"""Figures of the running gateway: by operation and status, never by what a request says."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from mpd.stack import Stack
from prometheus_client.parser import text_string_to_metric_families

from services.gateway.tests.door import Door
from services.gateway.tests.sse import listening
from tests.support import eventually


@pytest.fixture
async def ops(gateway_stack: Stack) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the door where operators ask."""
    async with httpx.AsyncClient(base_url=gateway_stack.gateways[0].ops_url, timeout=30) as client:
        yield client


async def _figure(ops: httpx.AsyncClient, name: str, **labels: str) -> float:
    text = (await ops.get("/metrics")).text
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return sum(sample.value for sample in samples if sample.name == name and labels.items() <= sample.labels.items())


async def test_requests_are_counted_by_operation_and_status(door: Door, ops: httpx.AsyncClient) -> None:
    labels = {"operation": "task.claim", "status": "404"}
    before = await _figure(ops, "mp_gateway_requests_total", **labels)
    await door.send("/tasks/none/claim")
    assert await _figure(ops, "mp_gateway_requests_total", **labels) == before + 1
    assert await _figure(ops, "mp_gateway_request_seconds_count", operation="task.claim") >= 1


async def test_lines_of_batches_are_counted_by_what_became_of_them(door: Door, ops: httpx.AsyncClient) -> None:
    before = await _figure(ops, "mp_gateway_batch_lines_total", code="unknown_type")
    headers = {"content-type": "application/x-ndjson"}
    await door.ask("POST", f"{door.path}/commands:batch", content='{"type":"no.such"}\n' * 3, headers=headers)
    assert await _figure(ops, "mp_gateway_batch_lines_total", code="unknown_type") == before + 3


async def test_open_streams_are_counted_while_they_are_open(door: Door, ops: httpx.AsyncClient) -> None:
    async def open_streams() -> float:
        return await _figure(ops, "mp_gateway_streams", transport="sse")

    before = await open_streams()
    async with listening(door):
        await eventually(lambda: _is(open_streams, before + 1))
    await eventually(lambda: _is(open_streams, before))


async def _is(figure: object, value: float) -> bool:
    assert callable(figure)
    return bool(await figure() == value)
