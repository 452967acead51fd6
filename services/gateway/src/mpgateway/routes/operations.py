"""Health, without its reasons, and the documents of the API."""

import functools
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from mpschema import asyncapi, openapi
from mpschema.api import Health

from mpgateway.condition import Condition
from mpgateway.http import JSON, HttpRequest, Response
from mpgateway.pipeline import Operation
from mpgateway.routes.domain import Route

_NOTHING: frozenset[str] = frozenset()
_encode = msgspec.json.Encoder().encode


class Operations:
    """Routes for load balancers and the curious. Operators ask the ops door, which says more."""

    def __init__(self, condition: Condition) -> None:
        self._condition = condition

    def routes(self) -> Iterator[Route]:
        """The routes, all of them open to everybody."""
        yield "/healthz", "GET", Operation("healthz", self._healthz, public=True)
        yield "/readyz", "GET", Operation("readyz", self._readyz, public=True)
        yield "/v1/openapi.json", "GET", Operation("openapi", _openapi, public=True)
        yield "/v1/asyncapi.json", "GET", Operation("asyncapi", _asyncapi, public=True)

    async def _healthz(self, request: HttpRequest) -> Response:
        request.query(_NOTHING)
        return Response(200, _encode(Health(status="ok")))

    async def _readyz(self, request: HttpRequest) -> Response:
        request.query(_NOTHING)
        ready = self._condition.ready
        return Response(200 if ready else 503, _encode(Health(status="ok" if ready else "failing")))


async def _openapi(request: HttpRequest) -> Response:
    request.query(_NOTHING)
    return Response(200, _document(openapi.document), JSON)


async def _asyncapi(request: HttpRequest) -> Response:
    request.query(_NOTHING)
    return Response(200, _document(asyncapi.document), JSON)


@functools.cache
def _document(make: Callable[[], dict[str, Any]]) -> bytes:
    return _encode(make())
