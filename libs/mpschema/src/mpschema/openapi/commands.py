"""The operation of every command: one route each, straight from the registry."""

from collections.abc import Iterator
from typing import Any

import msgspec

from mpschema import api, examples, story
from mpschema.envelope import Outcome, Status
from mpschema.openapi.parts import Json, plain, ref, success
from mpschema.openapi.refusals import problems
from mpschema.problems import STATUS, EdgeCode
from mpschema.registry import AGGREGATES, ALL_COMMANDS, LOG_COMMANDS, RECORDS
from mpschema.system import LOG
from mpschema.vocabulary import CommandSpec

ANSWERS: dict[str, type[Outcome]] = {
    "session.issue_token": api.IssuedToken,
    "webhook.create": api.IssuedSecret,
    "webhook.rotate_secret": api.IssuedSecret,
}
"""Commands whose answer carries more than the outcome."""
_SECRETS: dict[type[Outcome], Json] = {
    api.IssuedToken: {"token": "eyJhbGciOiJIUzI1NiJ9.e30.c2ln"},
    api.IssuedSecret: {"secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwqrTwjUPD8IL="},
}
_TARGETS = {"task": "fix-login", LOG: LOG}
_NEVER_OF_A_COMMAND = (EdgeCode.METHOD_NOT_ALLOWED, EdgeCode.NOT_ACCEPTABLE)
CODES: tuple[str, ...] = tuple(code for code in STATUS if code not in _NEVER_OF_A_COMMAND)
"""The codes of a refused command."""


def command_paths() -> Iterator[tuple[str, Json]]:
    """Path and operation of every command."""
    for spec in ALL_COMMANDS.values():
        yield spec.route, {"post": _operation(spec)}


def operation_id(message_type: str) -> str:
    """`task_claim` of `task.claim`."""
    return message_type.replace(".", "_")


def outcome_example(spec: CommandSpec) -> dict[str, Any]:
    """Return an example answer to an accepted command."""
    outcome = Outcome(
        command_id=story.COMMAND_ID,
        status=Status.ACCEPTED,
        epoch=3,
        first_seq=1042,
        last_seq=1041 + len(spec.emits),
        target=_TARGETS.get(spec.aggregate, f"{spec.aggregate}-1"),
        version=1 if spec.creates else 4,
    )
    fields: Json = plain(outcome)
    return fields | _SECRETS.get(ANSWERS.get(spec.command_type, Outcome), {})


def _operation(spec: CommandSpec) -> Json:
    facts = ", ".join(f"`{RECORDS[event].event_type}`" for event in spec.emits)
    return {
        "operationId": operation_id(spec.command_type),
        "tags": [AGGREGATES.get(spec.aggregate, spec.aggregate)],
        "summary": spec.summary,
        "description": f"Command `{spec.command_type}`, version {spec.version}. Accepted, it becomes {facts}.",
        "parameters": _parameters(spec),
        "requestBody": _body(spec),
        "responses": _responses(spec),
    }


def _parameters(spec: CommandSpec) -> list[Json]:
    names = [name for name, mark in (("WorkspaceId", "{workspace_id}"), ("Id", "{id}")) if mark in spec.route]
    if spec.command_type not in LOG_COMMANDS:  # The log has no version that one could expect.
        names += ["NewId", "IfNoneMatch"] if spec.creates else ["IfMatch"]
    names += ["IdempotencyKey", "Prefer", "CorrelationId", "Traceparent"]
    return [ref("parameters", name) for name in names]


def _body(spec: CommandSpec) -> Json:
    required = any(field.required for field in msgspec.structs.fields(spec.arguments))
    content = {
        "schema": ref("schemas", spec.arguments.__name__),
        "example": plain(examples.command_example(spec.arguments)),
    }
    return {"required": required, "content": {"application/json": content}}


def _responses(spec: CommandSpec) -> Json:
    answer = ANSWERS.get(spec.command_type, Outcome)
    told = ("Mp-Position", "Location") if spec.creates else ("Mp-Position",)
    accepted = success("Accepted and recorded.", ref("schemas", answer.__name__), outcome_example(spec), *told)
    enqueued = success(
        "Durable, not decided yet (`Prefer: respond-async`).",
        ref("schemas", api.Enqueued.__name__),
        {"command_id": story.COMMAND_ID},
        "Location",
    )
    return {"201" if spec.creates else "200": accepted, "202": enqueued} | problems(CODES)
