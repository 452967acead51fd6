"""One true-to-life example of every command, event and row: for documents, and as the golden bytes of a new type."""

from mpschema.base import Command, Event
from mpschema.examples.commands import COMMANDS
from mpschema.examples.events import EVENTS
from mpschema.examples.rows import ROWS
from mpschema.examples.story import ACTOR, COMMAND_ID, SESSION, TIME_MS, TRACEPARENT, WORKSPACE

__all__ = [
    "ACTOR",
    "COMMANDS",
    "COMMAND_ID",
    "EVENTS",
    "ROWS",
    "SESSION",
    "TIME_MS",
    "TRACEPARENT",
    "WORKSPACE",
    "command_example",
    "event_example",
]

_COMMANDS = {type(example): example for example in COMMANDS}
_EVENTS = {type(example): example for example in EVENTS}


def command_example(arguments: type[Command]) -> Command:
    """The example of a command's arguments. Raises `KeyError` for a type without one."""
    return _COMMANDS[arguments]


def event_example(data: type[Event]) -> Event:
    """The example of an event's data. Raises `KeyError` for a type without one."""
    return _EVENTS[data]
