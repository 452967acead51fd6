"""The operations that are neither one command nor one query: batches, streams, keys, health."""

from collections.abc import Iterator

import msgspec

from mpschema import api, story
from mpschema.base import ID_PATTERN
from mpschema.openapi.commands import CODES, outcome_example
from mpschema.openapi.parts import Json, headers, plain, ref, success
from mpschema.openapi.refusals import problems
from mpschema.problems import EdgeCode
from mpschema.registry import COMMANDS, EVENTS
from mpschema.rejections import Code

BATCH = "/v1/workspaces/{workspace_id}/commands:batch"
EVENT_STREAM = "/v1/workspaces/{workspace_id}/events"
EVENT_SOCKET = EVENT_STREAM + "/ws"
NEW_KEY = "/v1/workspaces/{workspace_id}/principals/{id}/keys"
EVENT_FILTERS = {
    "type": "Only events of these types, such as `TaskClaimed` or `mp.task.TaskClaimed.v1`.",
    "aggregate": "Only events of these kinds of aggregate, such as `task`.",
    "aggregate_id": "Only events of the aggregates with these ids.",
    "session": "Only events that these sessions caused, or that are about them.",
}
_STREAM = """\
Server-sent events without end: `id` is the position `EPOCH:SEQ`, `event` the event's type, `data` a CloudEvent (1.0,
JSON). Reconnect with the last `id` in `Last-Event-ID`: nothing is lost or repeated. A comment comes every 15 s when
nothing else does. `event: bye` (`{"reason", "retry_ms"}`) precedes every close by the server; `event: resync`
(`{"reason", "head"}`) says that the position asked for is not of this log: read state anew and begin at `head`, also
its `id`. The response header `Mp-Position` tells where the stream begins.

A request that accepts `text/event-stream` and cannot be served now (too many, not ready) is answered 200 with
`event: bye` alone: a standard `EventSource` would end for good on any other status. It gets 401, 403, 404 and 422 as
everybody does, for they do not pass by themselves."""
_NEW_KEY = """\
The server makes the secret, records its hash (`principal.issue_key`) and shows the key once. Under an `Idempotency-Key`
the repeated request gets the same key again."""
_BATCH = """\
One command a line, one answer a line, in the same order: an `Outcome` or a `Problem`. Each command is decided on its
own; a refusal stops none of the others. Give each line an `idempotency_key` and the whole batch may be repeated. In
`application/json` it is an array of commands, and so is the answer."""


def door_paths() -> Iterator[tuple[str, Json]]:
    """Path and operation of each."""
    yield BATCH, {"post": _batch()}
    yield EVENT_STREAM, {"get": _events()}
    yield NEW_KEY, {"post": _new_key()}
    yield "/healthz", {"get": _health("healthz", "Whether the process is alive.")}
    yield "/readyz", {"get": _health("readyz", "Whether requests can be served.")}
    yield "/v1/openapi.json", {"get": _documents("openapi", "This document.")}
    yield "/v1/asyncapi.json", {"get": _documents("asyncapi", "The same for the streams.")}


def _batch() -> Json:
    line = {"type": "task.mark_ready", "target": "fix-login", "idempotency_key": "ready-1"}
    lines = msgspec.json.encode(line).decode() + "\n"
    listed = {"schema": {"type": "array", "items": ref("schemas", "BatchLine")}, "example": [line]}
    answered = {
        "schema": {"type": "array", "items": {"oneOf": [ref("schemas", "Outcome"), ref("schemas", "Problem")]}},
        "example": [outcome_example(COMMANDS["task.mark_ready"])],
    }
    ndjson = {"schema": {"type": "string", "description": "`BatchLine` objects, one a line"}, "example": lines}
    answers = {"schema": {"type": "string", "description": "`Outcome` or `Problem` objects, one a line"}}
    return {
        "operationId": "commands_batch",
        "tags": ["commands"],
        "summary": f"Give up to {api.BATCH_LINES_MAX:,} commands in one request.",
        "description": _BATCH,
        "parameters": [ref("parameters", name) for name in ("WorkspaceId", "CorrelationId", "Traceparent")],
        # JSON first: generators of clients take the first that they know.
        "requestBody": {"required": True, "content": {"application/json": listed, "application/x-ndjson": ndjson}},
        "responses": {
            "200": {
                "description": "An answer a line.",
                "content": {"application/json": answered, "application/x-ndjson": answers},
            }
        }
        | problems((Code.TOO_LARGE, EdgeCode.UNSUPPORTED_MEDIA_TYPE)),
    }


def _events() -> Json:
    ids = {"type": "string", "pattern": ID_PATTERN.replace(r"\Z", "$")}
    names = sorted(set(EVENTS) | {spec.name for spec in EVENTS.values()})
    kinds = {"type": names, "aggregate": sorted({spec.aggregate for spec in EVENTS.values()})}
    filters = [
        {
            "name": name,
            "in": "query",
            "description": text,
            "schema": {"type": "array", "items": {"enum": kinds[name]} if name in kinds else ids},
        }
        for name, text in EVENT_FILTERS.items()
    ]
    stream = {"description": "The stream.", "content": {"text/event-stream": {"schema": {"type": "string"}}}}
    return {
        "operationId": "events_stream",
        "tags": ["events"],
        "summary": "Follow what happens, live, from any position.",
        "description": _STREAM,
        "parameters": [*(ref("parameters", name) for name in ("WorkspaceId", "After", "LastEventId")), *filters],
        "responses": {"200": stream | {"headers": headers("Mp-Position")}} | problems(),
    }


def _new_key() -> Json:
    spec = COMMANDS["principal.issue_key"]
    issued = outcome_example(spec) | {"key_id": "laptop", "key": "mpk_laptop_" + "k" * 43}
    answer = success("The key, this once.", ref("schemas", api.IssuedKey.__name__), issued, "Mp-Position")
    wanted = plain(api.NewKey(key_id="laptop", expires_at_ms=story.TIME_MS))
    body = {"schema": ref("schemas", api.NewKey.__name__), "example": wanted}
    names = ("WorkspaceId", "Id", "IdempotencyKey", "IfMatch", "CorrelationId", "Traceparent")
    return {
        "operationId": "keys_issue",
        "tags": ["principals"],
        "summary": "Make an API key for a principal.",
        "description": _NEW_KEY,
        "parameters": [ref("parameters", name) for name in names],
        "requestBody": {"required": False, "content": {"application/json": body}},
        "responses": {"201": answer} | problems(CODES),
    }


def _health(name: str, summary: str) -> Json:
    schema = ref("schemas", api.Health.__name__)
    return {
        "operationId": name,
        "tags": ["operations"],
        "summary": summary,
        "security": [],
        "responses": {"200": success("Well.", schema, {"status": "ok"}), "503": success("Not well.", schema)},
    }


def _documents(name: str, summary: str) -> Json:
    return {
        "operationId": name,
        "tags": ["operations"],
        "summary": summary,
        "security": [],
        "responses": {"200": success("The document.", {"type": "object"})},
    }
