"""JSON Schema 2020-12 of every message, derived from its type, for clients in other languages."""

import inspect
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from mpschema.base import Command
from mpschema.cloudevents import SCHEMA_URN
from mpschema.queries import QUERIES
from mpschema.registry import ALL_COMMANDS, EVENTS
from mpschema.vocabulary import CommandSpec, EventSpec

DIALECT = "https://json-schema.org/draft/2020-12/schema"
TEXT_PATTERN = r"^[^\u0000]*$"
"""The pattern of text in a command's arguments: the codec refuses NUL, which PostgreSQL cannot store."""

Schema = dict[str, Any]


def components(types: Iterable[Any], ref_template: str) -> dict[str, Schema]:
    """The named schemas of these types and of all they refer to. `ref_template` holds `{name}`."""
    # Commands apart: their free text must not hold NUL, so that what fits the schema is never refused as malformed.
    wanted = [_documented(kind) for kind in types]
    orders = [kind for kind in wanted if isinstance(kind, type) and issubclass(kind, Command)]
    others = [kind for kind in wanted if kind not in orders]
    named = _named(others, ref_template, _standard) | _named(orders, ref_template, _without_nul)
    return dict(sorted(named.items()))


def standalone(kind: type, name: str) -> Schema:
    """One type as a schema document of its own; `name` ends its `$id`."""
    defs = components([kind], "#/$defs/{name}")
    root = defs.pop(kind.__name__)
    return {"$schema": DIALECT, "$id": SCHEMA_URN + name, **root} | ({"$defs": defs} if defs else {})


def command_schema(spec: CommandSpec) -> Schema:
    """The schema of a command's arguments."""
    return standalone(spec.arguments, f"{spec.command_type}.v{spec.version}")


def event_schema(spec: EventSpec) -> Schema:
    """The schema of an event's data."""
    return standalone(spec.data, spec.event_type)


def documents() -> dict[str, Schema]:
    """Every schema document by its path below `schemas/`."""
    commands = {f"commands/{spec.command_type}.v{spec.version}": command_schema(spec) for spec in ALL_COMMANDS.values()}
    events = {f"events/{spec.event_type}": event_schema(spec) for spec in EVENTS.values()}
    rows = {f"queries/{spec.row.__name__}": standalone(spec.row, spec.row.__name__) for spec in QUERIES.values()}
    return {f"{name}.json": schema for name, schema in (commands | events | rows).items()}


def _named(types: list[Any], ref_template: str, change: Callable[[Schema], Schema]) -> dict[str, Schema]:
    _, named = msgspec.json.schema_components(types, ref_template=ref_template)
    return {name: _map_strings(_described(schema), change) for name, schema in named.items()}


def _described(schema: Schema) -> Schema:
    return schema | {"description": inspect.cleandoc(schema["description"])} if "description" in schema else schema


def _documented(kind: Any) -> Any:
    """The type as its reader sees it: arguments carried undecoded are an open object."""
    if not (isinstance(kind, type) and issubclass(kind, msgspec.Struct)) or "payload" not in kind.__struct_fields__:
        return kind
    required = [(field.name, field.type) for field in msgspec.structs.fields(kind) if field.required]
    optional = [
        (field.name, dict[str, Any], {}) if field.name == "payload" else (field.name, field.type, field.default)
        for field in msgspec.structs.fields(kind)
        if not field.required
    ]
    namespace = {"__doc__": kind.__doc__}
    return msgspec.defstruct(kind.__name__, [*required, *optional], forbid_unknown_fields=True, namespace=namespace)


def _standard(text: Schema) -> Schema:
    """Return the pattern as the standard writes it: `\\Z` is Python's form of `$`."""
    return text | {"pattern": text["pattern"].replace(r"\Z", "$")} if "pattern" in text else text


def _without_nul(text: Schema) -> Schema:
    return _standard(text) if "pattern" in text else text | {"pattern": TEXT_PATTERN}


def _map_strings(schema: Any, change: Callable[[Schema], Schema]) -> Any:
    """The schema with every string schema in it changed."""
    if isinstance(schema, list):
        return [_map_strings(item, change) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("type") == "string":
        return change(schema)
    return {key: _map_strings(value, change) for key, value in schema.items()}
