"""The messages of the streams as an AsyncAPI 3.0 document: over NATS and over live HTTP, with their senders.

Operations are described from the side of ModuPrompt: it receives commands and sends everything else.
"""

from typing import Any

from mpschema import examples, packs, story
from mpschema.cloudevents import MEDIA_TYPE, CloudEvent, to_cloudevent
from mpschema.envelope import CommandEnvelope, CommitHeader, Outcome
from mpschema.jsonschemas import components
from mpschema.openapi import API_VERSION
from mpschema.openapi.doors import EVENT_FILTERS, EVENT_SOCKET, EVENT_STREAM
from mpschema.registry import COMMANDS, EVENTS
from mpschema.vocabulary import EventSpec

Json = dict[str, Any]

_SCHEMAS = "#/components/schemas/{name}"
_MESSAGES = "#/components/messages/"
_NDJSON = "application/x-ndjson"
_PACKED = (
    f"A command a line: at most {packs.LINES_MAX} lines and {packs.BYTES_MAX} bytes, else all of it is refused unread."
)
_DESCRIPTION = """\
The streams of ModuPrompt. Commands wait in a work queue; the log holds commits, each one message with the events of
many commands in NDJSON, chained by SHA-256; the feed repeats the log with one message per event. Over HTTP the same
events come as server-sent events or over a WebSocket."""


def document() -> Json:
    """The whole document, as plain values. Always the same for the same registry."""
    channels = _channels()
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "ModuPrompt streams", "version": API_VERSION, "description": _DESCRIPTION},
        "defaultContentType": "application/json",
        "servers": {
            "nats": {"host": "localhost:4222", "protocol": "nats", "description": "JetStream."},
            "gateway": {"host": "localhost:8080", "protocol": "http", "description": "The gateway."},
        },
        "channels": channels,
        "operations": {
            _operation_name(name): {
                "action": "receive" if name == "commands" else "send",
                "channel": {"$ref": f"#/channels/{name}"},
                "summary": channel["summary"],
            }
            for name, channel in channels.items()
        },
        "components": {"messages": _messages(), "schemas": _schemas()},
    }


def _operation_name(channel: str) -> str:
    return ("receive" if channel in {"commands", "serviceCommands"} else "send") + channel[0].upper() + channel[1:]


def _channels() -> Json:
    events = [_message_name(spec) for spec in EVENTS.values()]
    places = {"workspace": "The tenant.", "aggregate": "Kind of aggregate.", "id": "The aggregate's id."}
    workspace = {"workspace_id": "The tenant."}
    filters = ", ".join(f"`{name}`" for name in EVENT_FILTERS)
    return {
        "commands": _channel("nats", "mp.v1.cmd.{shard}", "Commands that wait for their outcome.", ["commands"]),
        "serviceCommands": _channel(
            "nats",
            "mp.v1.svc.{shard}.{service}.{instance}",
            "Commands of a service of the system, which the subject names.",
            ["commands"],
        ),
        "replies": _channel(
            "nats", "mp.v1.reply.{user}.{producer}.{pack}", "Outcomes, to whoever asked.", ["outcomes"]
        ),
        "log": _channel("nats", "mp.v1.log.{shard}", "What happened: the source of truth.", ["commit"]),
        "feed": _channel(
            "nats",
            "mp.v1.evt.{shard}.{workspace}.{aggregate}.{id}",
            "The log, an event a message.",
            events,
            places,
        ),
        "events": _channel(
            "gateway",
            EVENT_STREAM,
            f"Server-sent events; filters {filters}, `after`. `bye` precedes every close, `resync` has the head's id.",
            events,
            workspace,
        ),
        "eventsSocket": _channel("gateway", EVENT_SOCKET, "The same as JSON text frames.", events, workspace),
    }


def _channel(server: str, address: str, summary: str, messages: list[str], places: Json | None = None) -> Json:
    known = {
        "shard": "The shard, `0` unless there are many.",
        "producer": "The producer's own id.",
        "pack": "The number of the message that asked.",
        "user": "The user of NATS who asked.",
        "service": "A service of the system.",
        "instance": "The instance of the service.",
    } | (places or {})
    return {
        "address": address,
        "summary": summary,
        "servers": [{"$ref": f"#/servers/{server}"}],
        "parameters": {name: {"description": text} for name, text in known.items() if f"{{{name}}}" in address},
        "messages": {name: {"$ref": _MESSAGES + name} for name in messages},
    }


def _messages() -> Json:
    commit = {
        "type": "array",
        "description": "A line each: the header, then the events with their type, position and data.",
        "items": [{"$ref": "#/components/schemas/CommitHeader"}],
        "additionalItems": {"type": "object", "required": ["type", "seq", "id", "data"]},
    }
    commands = {"type": "array", "items": {"$ref": "#/components/schemas/CommandEnvelope"}}
    outcomes = {"type": "array", "items": {"$ref": "#/components/schemas/Outcome"}}
    packed = {
        "commands": _message("Commands, packed", _PACKED, _NDJSON, commands)
        | _headers({"Mp-Reply": "The subject on which the outcomes are awaited."}),
        "commit": _message("A commit", "A header line, then an event a line; one atomic unit.", _NDJSON, commit)
        | _headers({"Mp-Hash": "Of this commit: SHA-256(tag, previous hash, subject, stored bytes)."}, "Mp-Hash"),
        "outcomes": _message("Outcomes", "The answers to many commands.", "application/json", outcomes),
    }
    return packed | {_message_name(spec): _event(spec) for spec in EVENTS.values()}


def _message(title: str, summary: str, content_type: str, payload: Json) -> Json:
    return {"name": title, "title": title, "summary": summary, "contentType": content_type, "payload": payload}


def _headers(described: dict[str, str], *required: str) -> Json:
    properties = {name: {"type": "string", "description": text} for name, text in described.items()}
    return {"headers": {"type": "object", "properties": properties, "required": list(required)}}


def _message_name(spec: EventSpec) -> str:
    return f"{spec.name}V{spec.version}"


def _event(spec: EventSpec) -> Json:
    data = {"$ref": f"#/components/schemas/{spec.data.__name__}"}
    narrowed = {"properties": {"type": {"const": spec.event_type}, "data": data}}
    payload = {"allOf": [{"$ref": "#/components/schemas/CloudEvent"}, narrowed]}
    summary = (spec.data.__doc__ or "").partition("\n")[0] or f"Of {spec.aggregate}s."
    on_the_feed = {
        "Nats-Msg-Id": "`SHARD:EPOCH:SEQ`, of this message alone.",
        "ce-id": "The event's id, unique in its workspace.",
        "ce-type": "The event's type.",
        "Mp-Hash": "Of the commit it stands in.",
    }
    message = _message(spec.event_type, summary, MEDIA_TYPE, payload) | _headers(on_the_feed)
    return message | {"examples": [{"payload": _example(spec)}]}


def _example(spec: EventSpec) -> Json:
    envelope: Json = {
        "seq": 1042,
        "id": f"{story.COMMAND_ID}:0",
        "workspace_id": story.WORKSPACE,
        "aggregate_id": f"{spec.aggregate}-1",
        "version": 4,
        "time_ms": story.TIME_MS,
        "epoch": 3,
        "actor": story.ACTOR,
        "session_id": story.SESSION,
    }
    record = spec.record(data=examples.event_example(spec.data), **envelope)
    return to_cloudevent(record, "56" * 32, "34" * 32)


def _schemas() -> Json:
    messages = [CommandEnvelope, CommitHeader, Outcome, CloudEvent]
    arguments = [spec.arguments for spec in COMMANDS.values()]
    return components([*messages, *arguments, *(spec.data for spec in EVENTS.values())], _SCHEMAS)
