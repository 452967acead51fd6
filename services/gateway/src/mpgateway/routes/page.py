"""The interactive page: Swagger UI from its package, and our document in the older version of OpenAPI that it reads.

Swagger UI 4 knows OpenAPI 3.0 alone. The document itself is 3.1; here its few newer words are said in older ones.
"""

import functools
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec
import swagger_ui_bundle
from mpschema import openapi
from mpschema.rejections import Code

from mpgateway.http import JSON, HttpRequest, Response
from mpgateway.pipeline import Operation
from mpgateway.problems import RequestRefused
from mpgateway.routes.domain import Route

_NOTHING: frozenset[str] = frozenset()
_CACHED = (b"cache-control", b"max-age=3600")
_FILES = {
    "swagger-ui.css": b"text/css",
    "swagger-ui-bundle.js": b"text/javascript",
    "favicon-32x32.png": b"image/png",
}
_DOCUMENT = "openapi.json"


def page_routes() -> Iterator[Route]:
    """The page and what it loads, all from here."""
    yield "/docs", "GET", Operation("docs", _page, public=True)
    yield "/docs/{file}", "GET", Operation("docs.file", _file, public=True)


async def _page(request: HttpRequest) -> Response:
    request.query(_NOTHING)
    page = files("mpgateway.routes").joinpath("docs.html").read_bytes()
    return Response(200, page, ((b"content-type", b"text/html; charset=utf-8"), _CACHED))


async def _file(request: HttpRequest) -> Response:
    name = request.params["file"]
    if name == _DOCUMENT:
        return Response(200, _document(), JSON)
    if name not in _FILES:
        raise RequestRefused(Code.NOT_FOUND, "there is nothing at this path")
    return Response(200, _content(name), ((b"content-type", _FILES[name]), _CACHED))


@functools.cache
def _document() -> bytes:
    return msgspec.json.encode(in_openapi_30(openapi.document()) | {"openapi": "3.0.3"})


@functools.cache
def _content(name: str) -> bytes:
    return (Path(str(swagger_ui_bundle.swagger_ui_path)) / name).read_bytes()


def in_openapi_30(part: Any) -> Any:
    """A part of an OpenAPI 3.1 document in the words of 3.0. Pure."""
    if isinstance(part, list):
        return [in_openapi_30(item) for item in part]
    if not isinstance(part, dict):
        return part
    older = {name: in_openapi_30(value) for name, value in part.items()}
    if isinstance(kinds := older.get("type"), list):
        older |= {"type": next(kind for kind in kinds if kind != "null"), "nullable": "null" in kinds}
    if _is_schema(older) and isinstance(options := older.get("anyOf"), list) and {"type": "null"} in options:
        older |= {"anyOf": [option for option in options if option != {"type": "null"}], "nullable": True}
    if _is_schema(older) and "const" in older:
        older["enum"] = [older.pop("const")]
    if _is_schema(older) and isinstance(older.get("examples"), list):
        older["example"] = older.pop("examples")[0]
    return older


def _is_schema(part: dict[str, Any]) -> bool:
    """Tell whether these are a schema's keywords, and not properties that happen to have such names."""
    return not any(isinstance(part.get(word), dict) for word in ("const", "anyOf", "examples", "type"))
