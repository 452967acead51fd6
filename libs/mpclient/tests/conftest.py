"""Fixtures of the SDK's tests: both clients behind one interface, so that each promise is tested for both."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, TypeVar

import pytest
from mpclient import AsyncClient, Client, Retries

T = TypeVar("T")

IMPATIENT = Retries(attempts_max=4, pause_seconds=0.001, pause_seconds_max=0.05)
Use = Callable[[str, Callable[[Any], Any]], Awaitable[Any]]


async def _async(url: str, act: Callable[[AsyncClient], Any]) -> Any:
    async with AsyncClient(url, "mpk_test", "acme", retries=IMPATIENT) as client:
        result = act(client)
        if isinstance(result, AsyncGenerator):
            return [item async for item in result]
        return await result


async def _sync(url: str, act: Callable[[Client], Any]) -> Any:
    with Client(url, "mpk_test", "acme", retries=IMPATIENT) as client:
        result = act(client)
        return list(result) if hasattr(result, "__next__") else result


@pytest.fixture(params=[_async, _sync], ids=["async", "sync"])
def use(request: pytest.FixtureRequest) -> Use:
    """Opens a client at a URL and lets it do one thing; lists what it generates."""
    chosen: Use = request.param
    return chosen
