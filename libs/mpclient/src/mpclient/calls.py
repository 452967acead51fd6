"""From a command, a query or a batch to the HTTP call that carries it, and from the answer's bytes to typed values.

Plain functions: what both clients share. Nothing here waits or connects.
"""

import datetime as dt
import functools
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, TypedDict, TypeVar
from urllib.parse import quote

import msgspec
from mpschema import api, codec
from mpschema.api import BatchLine, NewKey, Page
from mpschema.base import Command
from mpschema.cloudevents import CloudEvent
from mpschema.envelope import Outcome
from mpschema.ids import uuid7
from mpschema.openapi.commands import ANSWERS
from mpschema.openapi.doors import BATCH, EVENT_STREAM, NEW_KEY
from mpschema.problems import Problem
from mpschema.queries import QUERIES
from mpschema.registry import ALL_COMMANDS

from mpclient.transport import Call, decoded

R = TypeVar("R", bound=msgspec.Struct)
After = Outcome | int | None
"""The lower bound of a read: the outcome of your own command, or a position (`seq`)."""
From = Outcome | CloudEvent | str | None
"""The start of a stream: after an outcome, an event, or `EPOCH:SEQ`; `0:0` is the beginning, None is now."""
Order = api.Order
"""The order of a list: `asc`, oldest first, or `desc`, newest first."""
Arguments = Command | Mapping[str, Any]
Answer = Outcome | Problem

_NDJSON = "application/x-ndjson"
_ARGUMENTS: dict[type[Command], str] = {spec.arguments: spec.command_type for spec in ALL_COMMANDS.values()}


class CommandOptions(TypedDict, total=False):
    """Options of every command."""

    idempotency_key: str
    """Names the intention: the same key and arguments have the same answer, for 30 days at least. Made if left out."""
    expected_version: int | Literal["any"]
    """The version the target must have; 0: it must not exist yet."""
    correlation_id: str
    traceparent: str


def new_key() -> str:
    """A fresh idempotency key."""
    return uuid7(time.time_ns() // 1_000_000, os.urandom(10))


def order(arguments: Command, target: str = "", **options: Any) -> BatchLine:
    """A line of a batch: `order(ClaimTask(ttl_seconds=60), "t1", expected_version=3)`."""
    return BatchLine(
        type=_ARGUMENTS[type(arguments)], target=target, payload=msgspec.Raw(codec.encode(arguments)), **options
    )


def command_call(
    workspace: str | None,
    command_type: str,
    target: str,
    arguments: Arguments,
    options: CommandOptions,
    prefer: str = "",
) -> Call:
    """The call of one command. Raises `ValueError` where the workspace or the target is missing."""
    spec = ALL_COMMANDS[command_type]
    headers = _command_headers(options, creates=spec.creates) | ({"Prefer": prefer} if prefer else {})
    params = {"id": target} if spec.creates and target else {}
    path = _path(spec.route, workspace, target, about_workspace=spec.aggregate == "workspace")
    return Call("POST", path, params, headers, codec.encode(arguments))


def as_of(at_seq: int | None, at: dt.datetime | None) -> dict[str, str | None]:
    """The parameters for a thing as it was after an event, or at a moment. Raises `ValueError` without a time zone."""
    if at is not None and at.tzinfo is None:
        raise ValueError("at has no time zone")
    utc = at.astimezone(dt.UTC).isoformat().replace("+00:00", "Z") if at is not None else None
    return {"at_seq": None if at_seq is None else str(at_seq), "at": utc}


def query_call(workspace: str | None, query_type: str, target: str, params: Mapping[str, Any], after: After) -> Call:
    """The call of one query; parameters that are None are left out."""
    spec = QUERIES[query_type]
    asked = {**params, "after_seq": after.last_seq if isinstance(after, Outcome) else after}
    given = {name: _plain(value) for name, value in asked.items() if value is not None}
    return Call("GET", _path(spec.route, workspace, target, about_workspace=spec.aggregate == "workspace"), given)


def batch_call(workspace: str | None, lines: Iterable[BatchLine | Mapping[str, Any]]) -> Call:
    """The call of a batch. Every line gets an idempotency key, so the whole may be repeated."""
    body = codec.encode_lines(_keyed(line) for line in lines)
    return Call("POST", _path(BATCH, workspace, ""), {}, {"Content-Type": _NDJSON, "Accept": _NDJSON}, body)


def key_call(workspace: str | None, principal: str, wanted: NewKey) -> Call:
    """The call that makes an API key; repeated, it gets the same key again."""
    headers = _JSON | {"Idempotency-Key": new_key()}
    return Call("POST", _path(NEW_KEY, workspace, principal), {}, headers, codec.encode(wanted))


def events_call(workspace: str | None, filters: Mapping[str, str | Sequence[str] | None]) -> Call:
    """The call that opens the event stream."""
    given = {name: value for name, value in filters.items() if value is not None}
    headers = {"Accept": "text/event-stream", "Cache-Control": "no-store"}
    return Call("GET", _path(EVENT_STREAM, workspace, ""), given, headers)


def position_of(start: From) -> str | None:
    """`EPOCH:SEQ` of where to begin."""
    if isinstance(start, Outcome):
        return f"{start.epoch}:{start.last_seq}"
    return start.position if isinstance(start, CloudEvent) else start


def outcome_kind(command_type: str) -> type[Outcome]:
    """Return the type of the answer to an accepted command of this type."""
    return ANSWERS.get(command_type, Outcome)


@functools.cache
def page_kind(row: type[R]) -> type[Page[R]]:
    """The page of a row."""
    page: Any = Page  # Which row it is of is only known at run time.
    kind: type[Page[R]] = page[row]
    return kind


def batch_answers(data: bytes) -> list[Answer]:
    """The answers of a batch, a line each. Raises `UnexpectedAnswer`."""
    return [_batch_answer(line) for line in data.splitlines()]


class _Peek(msgspec.Struct):
    status: str | int


def _batch_answer(line: bytes) -> Answer:
    # An outcome's status is a word, a problem's the number of HTTP.
    if isinstance(decoded(line, _Peek).status, str):
        return decoded(line, Outcome)
    return decoded(line, Problem)


_JSON = {"Content-Type": "application/json"}


def _command_headers(options: CommandOptions, *, creates: bool) -> dict[str, str]:
    headers = _JSON | {"Idempotency-Key": options.get("idempotency_key") or new_key()}
    expected = options.get("expected_version", "any")
    if expected != "any":
        if creates and expected != 0:
            raise ValueError("what is to be created has no version yet: expect 0, or nothing")
        headers |= {"If-None-Match": "*"} if creates else {"If-Match": f'"{expected}"'}
    for name, header in (("correlation_id", "X-Correlation-Id"), ("traceparent", "traceparent")):
        if value := options.get(name):
            headers[header] = str(value)
    return headers


def _path(route: str, workspace: str | None, target: str, *, about_workspace: bool = False) -> str:
    named = (target or workspace) if about_workspace else workspace
    if "{workspace_id}" in route and not named:
        raise ValueError("which workspace? Give the client one, or use in_workspace()")
    if "{id}" in route and not target:
        raise ValueError(f"{route} needs an id")
    return route.format(workspace_id=quote(named or "", safe=":@"), id=quote(target, safe=":@"))


def _keyed(line: BatchLine | Mapping[str, Any]) -> BatchLine | Mapping[str, Any]:
    if isinstance(line, BatchLine):
        return line if line.idempotency_key else msgspec.structs.replace(line, idempotency_key=new_key())
    return line if line.get("idempotency_key") else {**line, "idempotency_key": new_key()}


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
