"""Every command and event there is, joined from the words of each aggregate.

Routes, command line, SDK, schemas, documents and metrics derive from it.
"""

from importlib import import_module
from typing import Any

from mpschema import system
from mpschema.aggregates import NAMES
from mpschema.base import Event
from mpschema.envelope import EventRecord
from mpschema.vocabulary import CommandSpec, EventSpec, Vocabulary


def _words(aggregate: str) -> Vocabulary:
    found = import_module(f"mpschema.{aggregate}").VOCABULARY
    assert isinstance(found, Vocabulary)
    return found


VOCABULARIES: tuple[Vocabulary, ...] = tuple(_words(name) for name in NAMES)
"""The words of each aggregate, in the order of the aggregates."""
_ALL = (*VOCABULARIES, *system.VOCABULARIES)

AGGREGATES: dict[str, str] = {words.name: words.plural for words in VOCABULARIES}
"""Aggregate to the plural that names its collection in routes and tables."""

COMMANDS: dict[str, CommandSpec] = {spec.command_type: spec for words in VOCABULARIES for spec in words.commands}
"""Every command by its type."""

KERNEL_COMMANDS: dict[str, CommandSpec] = {
    spec.command_type: spec for words in VOCABULARIES for spec in words.kernel_commands
}
"""Commands that the kernel gives itself because of an event, by their type. To a caller they are unknown."""

LOG_COMMANDS: dict[str, CommandSpec] = {
    spec.command_type: spec for words in system.VOCABULARIES for spec in words.commands
}
"""Commands about the log itself, in the workspace `system`, which is no tenant's: for operators of the deployment."""

ALL_COMMANDS: dict[str, CommandSpec] = COMMANDS | LOG_COMMANDS
"""Every command with a route, by its type."""

PAST_EVENTS: tuple[EventSpec, ...] = ()
"""Past versions of events, which stand in logs for ever: `EventSpec("task", task.TaskClaimedV1, 1)`."""


def _newest(aggregate: str, data: type[Event]) -> EventSpec:
    past = [spec for spec in PAST_EVENTS if (spec.aggregate, spec.name) == (aggregate, data.__name__)]
    return EventSpec(aggregate, data, 1 + len(past))


EVENTS: dict[str, EventSpec] = {
    spec.event_type: spec
    for spec in (
        *PAST_EVENTS,
        *(_newest(words.name, data) for words in _ALL for data in words.events),
    )
}
"""Every event type, in every version that may stand in a log, by its full type."""

RECORDS: dict[type[Event], type[EventRecord]] = {spec.data: spec.record for spec in EVENTS.values()}
"""The record class that carries an event's data."""


def record_of(event: Event, **envelope: Any) -> EventRecord:
    """The record of an event: its data in its envelope."""
    return RECORDS[type(event)](data=event, **envelope)
