"""Published shapes: a type and version keeps its shape for ever.

`shapes.lock` is the diff of a change of contract. It holds a digest (words for people left out) of

- every command and event, and the members of every enumeration: frozen. A new type adds a line, an enumeration may gain
  members, a command may gain an optional argument that is marked with its feature level (`x-since-level`), which adds a
  line; anything else wants a new version.
- every operation, schema, parameter and response of the HTTP API, and every channel of the streams: shown, not frozen.

A frozen shape that has to change:

1. Keep the old data class as `TaskClaimedV1` beside the new `TaskClaimed`, in the aggregate's module.
2. In the registry, add `EventSpec("task", task.TaskClaimedV1, 1)` to `PAST_EVENTS`: the new one becomes version 2 by
   that. (A command: raise its `version`; only the newest is accepted.)
3. In `upcasts`, map `mp.task.TaskClaimed.v1` to the step that makes the new data of the old.
4. Add an example of the new one to `mpschema.examples` and keep the old one's.
5. `python -m mpschema` adds the new shape to the lock, and its golden bytes to the corpus.
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mpschema import asyncapi, openapi
from mpschema.jsonschemas import command_schema, event_schema
from mpschema.registry import ALL_COMMANDS, EVENTS

SINCE = "x-since-level"
"""The mark of an argument that a command gained: optional, with the feature level from which it is accepted."""
LOCK = "shapes.lock"
_WORDS = ("title", "description", "summary", "example", "examples", "tags", "$id")
"""Keys whose text is for people."""
HOW = "a published shape changed; add a version instead (mpschema/shapes.py says how)"

Lock = dict[str, str | list[str]]


class ShapeChanged(Exception):
    """A type changed under an old version number. `names` are the lines of the lock that no longer hold."""

    def __init__(self, names: list[str]) -> None:
        super().__init__(f"{HOW}: {', '.join(names)}")
        self.names = names


def current() -> Lock:
    """The lock as the registry would have it."""
    commands = {f"{spec.command_type}.v{spec.version}": command_schema(spec) for spec in ALL_COMMANDS.values()}
    events = {spec.event_type: event_schema(spec) for spec in EVENTS.values()}
    lock: Lock = {}
    for name, schema in (commands | events).items():
        first, added = _apart(schema)
        lock[name] = digest(first)
        lock |= {f"{name} + {argument}": digest(shape) for argument, shape in added.items()}
        lock |= _enumerations(schema)
    return dict(sorted((lock | shown(openapi.document(), asyncapi.document())).items()))


def _apart(schema: dict[str, Any]) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Tell a command's first shape from the optional arguments that it gained, which say since when."""
    properties = schema.get("properties", {})
    added = {name: shape for name, shape in properties.items() if SINCE in shape and name not in schema["required"]}
    if not added:
        return schema, {}
    first = schema | {"properties": {name: shape for name, shape in properties.items() if name not in added}}
    text = json.dumps(first["properties"])
    first["$defs"] = {name: kind for name, kind in schema.get("$defs", {}).items() if f'#/$defs/{name}"' in text}
    if not first["$defs"]:
        del first["$defs"]
    return first, added


def shown(http: dict[str, Any], streams: dict[str, Any]) -> Lock:
    """Every part of the documents that may change, by a name that has a space, with its digest."""
    return {name: digest(part, _WORDS)[:16] for name, part in _parts(http, streams)}


def digest(schema: dict[str, Any], words: tuple[str, ...] = ("title", "description", "enum", "$id")) -> str:
    """SHA-256 of what a schema means, without these words of it: enumerations have lines of their own."""
    shape = json.dumps(_bare(schema, words), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(shape.encode()).hexdigest()


def merge(locked: Lock, now: Lock) -> Lock:
    """The lock with what is new. Raises `ShapeChanged` where something frozen is gone or different."""
    frozen = {name: shape for name, shape in locked.items() if " " not in name or name.startswith("enum ")}
    changed = [name for name, shape in frozen.items() if not _holds(shape, now.get(name)) and not _retired(name, now)]
    if changed:
        raise ShapeChanged(changed)
    return dict(sorted((frozen | now).items()))


def read(path: Path) -> Lock:
    """The lock in a file; empty where there is none yet."""
    lock: Lock = json.loads(path.read_text("utf-8")) if path.exists() else {}
    return lock


def render(lock: Lock) -> str:
    """The lock's text."""
    return json.dumps(lock, indent=1) + "\n"


def _holds(locked: str | list[str], now: str | list[str] | None) -> bool:
    if isinstance(locked, list):
        return isinstance(now, list) and set(locked) <= set(now)
    return locked == now


def _retired(name: str, now: Lock) -> bool:
    """True for a command's old version: those are refused, not kept. Events stand in logs for ever."""
    kind, _, version = name.rpartition(".v")
    is_command = bool(kind) and not kind.startswith("mp.")
    return is_command and any(f"{kind}.v{newer}" in now for newer in range(int(version) + 1, int(version) + 100))


def _enumerations(schema: dict[str, Any]) -> Lock:
    return {f"enum {name}": kind["enum"] for name, kind in schema.get("$defs", {}).items() if "enum" in kind}


def _parts(http: dict[str, Any], streams: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for path, operations in http["paths"].items():
        yield from ((f"{method.upper()} {path}", operation) for method, operation in operations.items())
    frozen = {spec.arguments.__name__ for spec in ALL_COMMANDS.values()}
    frozen |= {spec.data.__name__ for spec in EVENTS.values()}
    schemas = streams["components"]["schemas"] | http["components"]["schemas"]
    yield from ((f"schema {name}", schema) for name, schema in schemas.items() if name not in frozen)
    for kind in ("parameters", "responses", "securitySchemes"):
        yield from ((f"{kind} {name}", part) for name, part in http["components"][kind].items())
    for kind in ("channels", "operations"):
        yield from ((f"streams {kind} {name}", part) for name, part in streams[kind].items())
    yield "streams messages", streams["components"]["messages"]


def _bare(schema: Any, words: tuple[str, ...], *, named: bool = False) -> Any:
    """A schema without `words`. `named`: the keys of this object are names of fields or types, not words."""
    if isinstance(schema, list):
        return [_bare(item, words) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: _bare(value, words, named=not named and key in ("properties", "$defs"))
        for key, value in schema.items()
        if named or key not in words
    }
