"""The document the interactive page reads: the same API, in the words of OpenAPI 3.0."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
from mpgateway.routes.page import in_openapi_30
from mpschema import openapi


def _schemas(part: Any) -> Iterator[dict[str, Any]]:
    if isinstance(part, list):
        for item in part:
            yield from _schemas(item)
    elif isinstance(part, dict):
        yield part
        for item in part.values():
            yield from _schemas(item)


def test_newer_words_become_older_ones() -> None:
    assert in_openapi_30({"type": ["string", "null"]}) == {"type": "string", "nullable": True}
    assert in_openapi_30({"const": 404}) == {"enum": [404]}
    assert in_openapi_30({"type": "string", "examples": ["3:1042"]}) == {"type": "string", "example": "3:1042"}
    assert in_openapi_30({"anyOf": [{"type": "integer"}, {"type": "null"}]}) == {
        "anyOf": [{"type": "integer"}],
        "nullable": True,
    }


def test_properties_with_such_names_stay_as_they_are() -> None:
    properties = {"properties": {"type": {"type": "string"}, "const": {"type": "integer"}}}
    assert in_openapi_30(properties) == properties


def test_nothing_newer_is_left_and_no_operation_is_lost() -> None:
    newer = openapi.document()
    older = in_openapi_30(newer)
    assert {path: set(item) for path, item in older["paths"].items()} == {
        path: set(item) for path, item in newer["paths"].items()
    }
    for schema in _schemas(older):
        assert not isinstance(schema.get("type"), list)
        assert schema != {"type": "null"}


async def test_the_page_reads_this_document(http: httpx.AsyncClient) -> None:
    assert "/docs/openapi.json" in (await http.get("/docs")).text
    document = (await http.get("/docs/openapi.json")).json()
    assert document["openapi"] == "3.0.3"
    assert (await http.get("/v1/openapi.json")).json()["openapi"] == "3.1.0"
