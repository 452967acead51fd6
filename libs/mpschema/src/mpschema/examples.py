"""One true-to-life example of every command, event and row: for documents, and as the golden bytes of a new type."""

from importlib import import_module
from typing import Any

import msgspec

from mpschema import story
from mpschema.aggregates import NAMES
from mpschema.base import Command, Event


def _all(kind: str) -> list[Any]:
    return [each for noun in (*NAMES, "system") for each in getattr(import_module(f"mpschema.{noun}.examples"), kind)]


IDS: dict[str, str] = {noun: import_module(f"mpschema.{noun}.examples").ID for noun in NAMES} | {
    "command": story.COMMAND_ID
}
"""An id of each kind of thing."""
COMMANDS: tuple[Command, ...] = tuple(_all("COMMANDS"))
EVENTS: tuple[Event, ...] = tuple(_all("EVENTS"))
ROWS: dict[type[msgspec.Struct], msgspec.Struct] = {type(example): example for example in _all("ROWS")}
"""Every row's example, by its type."""
_COMMANDS = {type(example): example for example in COMMANDS}
_EVENTS = {type(example): example for example in EVENTS}


def command_example(arguments: type[Command]) -> Command:
    """The example of a command's arguments. Raises `KeyError` for a type without one."""
    return _COMMANDS[arguments]


def event_example(data: type[Event]) -> Event:
    """The example of an event's data. Raises `KeyError` for a type without one."""
    return _EVENTS[data]
