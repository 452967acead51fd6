"""Health, figures, and the documents of the API."""

import asyncio
import functools
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from mpschema import asyncapi, levels, openapi
from mpschema.api import Health
from nats.aio.client import Client as Nats
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from mpgateway.database import ReadModels, ReadModelsUnavailable
from mpgateway.http import JSON, Answer, HttpRequest
from mpgateway.pipeline import Operation
from mpgateway.routes.domain import Route
from mpgateway.streaming.ring import Ring
from mpgateway.streaming.tail import Tail

READY_SECONDS = 2.0
_HALTED = "SELECT name, error FROM mp.projections WHERE state = 'halted' AND phase = 'serving'"
_NOTHING: frozenset[str] = frozenset()
_encode = msgspec.json.Encoder().encode


class Operations:
    """What operators and the curious ask."""

    def __init__(self, nats: Nats, read_models: ReadModels, tail: Tail, ring: Ring) -> None:
        self._nats = nats
        self._read_models = read_models
        self._tail = tail
        self._ring = ring

    def routes(self) -> Iterator[Route]:
        """The routes, all of them open to everybody."""
        yield "/healthz", "GET", Operation("healthz", self._healthz, public=True)
        yield "/readyz", "GET", Operation("readyz", self._readyz, public=True)
        yield "/metrics", "GET", Operation("metrics", self._metrics, public=True)
        yield "/v1/openapi.json", "GET", Operation("openapi", _openapi, public=True)
        yield "/v1/asyncapi.json", "GET", Operation("asyncapi", _asyncapi, public=True)

    async def _healthz(self, request: HttpRequest) -> Answer:
        request.query(_NOTHING)
        return Answer(200, _encode(Health(status="ok")))

    async def _readyz(self, request: HttpRequest) -> Answer:
        request.query(_NOTHING)
        postgres, halted = await self._postgres_state()
        checks = {"nats": self._nats_state(), "postgres": postgres, "tail": self._tail_state()}
        if self._ring.ending is not None:
            checks["gateway"] = self._ring.ending
        failing = {name for name, state in checks.items() if state != "ok"}
        status, reads = "failing" if failing else "ok", levels.FEATURE_LEVEL
        health = Health(status=status, checks=checks, halted=halted, reads_level=reads)
        return Answer(503 if failing else 200, _encode(health))

    def _nats_state(self) -> str:
        return "ok" if self._nats.is_connected else "disconnected"

    def _tail_state(self) -> str:
        return self._tail.broken or ("ok" if self._tail.ready else "catching up")

    async def _postgres_state(self) -> tuple[str, dict[str, str]]:
        """Whether it answers, and which projections are halted and why: their readers see what was, not nothing."""
        try:
            async with asyncio.timeout(READY_SECONDS):
                rows = await self._read_models.fetch(_HALTED)
        except (ReadModelsUnavailable, TimeoutError):
            return "does not answer", {}
        return "ok", {row["name"]: row["error"] or "" for row in rows}

    async def _metrics(self, request: HttpRequest) -> Answer:
        request.query(_NOTHING)
        return Answer(200, generate_latest(), ((b"content-type", CONTENT_TYPE_LATEST.encode()),))


async def _openapi(request: HttpRequest) -> Answer:
    request.query(_NOTHING)
    return Answer(200, _document(openapi.document), JSON)


async def _asyncapi(request: HttpRequest) -> Answer:
    request.query(_NOTHING)
    return Answer(200, _document(asyncapi.document), JSON)


@functools.cache
def _document(make: Callable[[], dict[str, Any]]) -> bytes:
    return _encode(make())
