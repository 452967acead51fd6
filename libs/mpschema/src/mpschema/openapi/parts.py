"""The components of the operations: schemas, parameters, headers, security schemes."""

from typing import Any

import msgspec

from mpschema import api
from mpschema.base import ID_PATTERN
from mpschema.cloudevents import CloudEvent
from mpschema.endpoints import PATTERN
from mpschema.envelope import Outcome
from mpschema.jsonschemas import components
from mpschema.problems import Problem
from mpschema.queries import QUERIES
from mpschema.registry import ALL_COMMANDS
from mpschema.webhook import ConfigureWebhook, CreateWebhook

Json = dict[str, Any]

_ID: Json = {"type": "string", "pattern": ID_PATTERN.replace(r"\Z", "$")}
_POSITION: Json = {"type": "string", "pattern": "^(0|[1-9][0-9]{0,15}):(0|[1-9][0-9]{0,15})$", "examples": ["3:1042"]}
_BODIES: tuple[type, ...] = (
    Outcome,
    Problem,
    CloudEvent,
    api.Enqueued,
    api.BatchLine,
    api.NewKey,
    api.IssuedKey,
    api.IssuedToken,
    api.IssuedSecret,
    api.Health,
)

SECURITY: list[Json] = [{"apiKey": []}, {"token": []}]
SECURITY_SCHEMES: Json = {
    "apiKey": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "mpk_<key id>_<secret>",
        "description": "An API key of a user or service, issued once and revocable.",
    },
    "token": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "An OIDC token of a person, or the short-lived token of one agent session.",
    },
}


def ref(kind: str, name: str) -> Json:
    """A reference to a component."""
    return {"$ref": f"#/components/{kind}/{name}"}


def page_name(row: type) -> str:
    """`TaskPage` of `TaskRow`."""
    return f"{row.__name__.removesuffix('Row')}Page"


def schemas() -> Json:
    """Every named schema: arguments, rows and their pages, and the bodies of the API."""
    rows = {spec.row for spec in QUERIES.values()}
    orders = [spec.arguments for spec in ALL_COMMANDS.values()]
    by_name = sorted([*rows, *orders, *_BODIES], key=lambda kind: kind.__name__)
    pages = {page_name(spec.row): _page(spec.row) for spec in QUERIES.values() if spec.many}
    named = components(by_name, "#/components/schemas/{name}")
    for arguments in (CreateWebhook, ConfigureWebhook):
        properties = named[arguments.__name__]["properties"]
        properties["endpoint"] = _narrowed(properties["endpoint"])
    return dict(sorted((_without_defaults(named) | pages).items()))


def _without_defaults(schema: Any) -> Any:
    """The schema with its defaults in words.

    A field with a `default` is one that generators ask for in every request, or believe to be in every answer. Ours may
    be left out in both.
    """
    if isinstance(schema, list):
        return [_without_defaults(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {key: _without_defaults(value) for key, value in schema.items() if key != "default"}
    told = schema.get("default")
    if "default" not in schema or told in (None, "", (), [], {}, False):
        return kept
    words = f"Left out, it is {msgspec.json.encode(told).decode()}."
    return kept | {"description": f"{kept['description']}. {words}" if "description" in kept else words}


def _narrowed(schema: Json) -> Json:
    """The schema of an endpoint, as the gateway accepts it."""
    if "anyOf" in schema:
        return schema | {"anyOf": [_narrowed(each) for each in schema["anyOf"]]}
    return schema | {"pattern": PATTERN} if "pattern" in schema else schema


def _page(row: type) -> Json:
    return {
        "title": page_name(row),
        "description": "One page; `next_cursor` asks for the next, null on the last.",
        "type": "object",
        "properties": {
            "items": {"type": "array", "items": ref("schemas", row.__name__)},
            "next_cursor": {"type": ["string", "null"]},
        },
        "required": ["items", "next_cursor"],
    }


def _parameter(place: str, name: str, schema: Json, description: str) -> Json:
    required = {"required": True} if place == "path" else {}
    return {"name": name, "in": place, **required, "description": description, "schema": schema}


PARAMETERS: Json = {
    "WorkspaceId": _parameter("path", "workspace_id", _ID, "The workspace."),
    "Id": _parameter("path", "id", _ID, "What the request is about."),
    "NewId": _parameter("query", "id", _ID, "The id of what is created; left out, it derives from the command's id."),
    "IdempotencyKey": _parameter(
        "header",
        "Idempotency-Key",
        {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[\\x21-\\x7e]+$"},
        "Names the intention: repeating the request with it is safe. Left out, a repetition is a new command.",
    ),
    "Prefer": _parameter(
        "header",
        "Prefer",
        {"type": "string", "enum": ["respond-async"]},
        "Answer 202 as soon as the command is durable.",
    ),
    "IfMatch": _parameter(
        "header",
        "If-Match",
        {"type": "string", "pattern": '^("(0|[1-9][0-9]{0,14})"|[*])$', "examples": ['"4"']},
        "The version the target must have, as its `ETag` says; `*`: whichever it has. A weak tag never matches.",
    ),
    "IfNoneMatch": _parameter(
        "header", "If-None-Match", {"type": "string", "enum": ["*"]}, "The target must not exist yet."
    ),
    "CorrelationId": _parameter("header", "X-Correlation-Id", _ID, "Ties commands and events of one matter together."),
    "Traceparent": _parameter(
        "header",
        "traceparent",
        {"type": "string", "pattern": "^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$"},
        "W3C trace context; it is recorded with the events.",
    ),
    "Limit": _parameter(
        "query",
        "limit",
        {"type": "integer", "minimum": 1, "maximum": api.PAGE_ITEMS_MAX, "default": api.PAGE_ITEMS_DEFAULT},
        "How many items a page has at most.",
    ),
    "Order": _parameter(
        "query",
        "order",
        {"type": "string", "enum": list(api.ORDERS), "default": api.ORDERS[0]},
        "`asc` lists the oldest first, `desc` the newest; stay with one while you follow a cursor.",
    ),
    "Cursor": _parameter("query", "cursor", {"type": "string"}, "`next_cursor` of the page before."),
    "AfterSeq": _parameter(
        "query",
        "after_seq",
        {"type": "integer", "minimum": 0, "maximum": 2**53 - 1},
        f"Wait (at most {api.AFTER_SEQ_WAIT_SECONDS} s) until the answer knows the event at this position.",
    ),
    "AtSeq": _parameter(
        "query",
        "at_seq",
        {"type": "integer", "minimum": 1, "maximum": 2**53 - 1},
        "As it was after the event at this position; `Mp-Position` tells the last of its own events that counts.",
    ),
    "At": _parameter("query", "at", {"type": "string", "format": "date-time"}, "As it was at this moment."),
    "After": _parameter(
        "query", "after", _POSITION, "Begin after this position; `0:0` is the start, and left out means from now on."
    ),
    "LastEventId": _parameter("header", "Last-Event-ID", _POSITION, "The same, as a reconnecting browser sends it."),
}

_HEADERS: Json = {
    "Mp-Position": {
        "description": "The position of the outcome in the log, or the one that the answer reflects: EPOCH:SEQ.",
        "schema": _POSITION,
    },
    "Location": {"description": "The address of the new resource, or of the outcome.", "schema": {"type": "string"}},
    "Link": {
        "description": 'As CloudEvents: the next page, as `<URL>; rel="next"`; none on the last.',
        "schema": {"type": "string"},
    },
    "ETag": {"description": "The version, as `If-Match` takes it.", "schema": {"type": "string"}},
    "Retry-After": {"description": "Seconds to wait before trying again.", "schema": {"type": "integer", "minimum": 0}},
    "WWW-Authenticate": {"description": "The ways to authenticate.", "schema": {"type": "string"}},
}


def headers(*names: str) -> Json:
    """Response headers."""
    return {name: _HEADERS[name] for name in names}


def plain(message: Any) -> Any:
    """A message as the JSON values it travels as."""
    return msgspec.json.decode(msgspec.json.encode(message))


def success(description: str, schema: Json, example: Any = None, *header_names: str) -> Json:
    """A successful JSON answer."""
    content = {"schema": schema} | ({} if example is None else {"example": example})
    response: Json = {"description": description, "content": {"application/json": content}}
    return response | ({"headers": headers(*header_names)} if header_names else {})
