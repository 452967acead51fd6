"""Yesterday's shapes to today's, one small step each, at reading. What is stored is never rewritten.

A new version of an event gets a new entry in the registry beside the old one, and a step here from the old data to the
new. Steps chain: v1 to v2 to v3.
"""

from collections.abc import Callable, Mapping

from mpschema.base import Event
from mpschema.envelope import EventRecord
from mpschema.registry import RECORDS

Step = Callable[[Event], Event]

UPCASTS: dict[str, Step] = {}
"""Old event type (`mp.task.TaskCreated.v1`) to the step that makes the next version's data of its data."""


def upcast(
    record: EventRecord,
    steps: Mapping[str, Step] = UPCASTS,
    records: Mapping[type[Event], type[EventRecord]] = RECORDS,
) -> EventRecord:
    """The same fact in its newest version. Pure; a record that is already newest comes back as it is."""
    if record.event_type not in steps:
        return record
    data = record.event
    while step := steps.get(records[type(data)].event_type):
        data = step(data)
    envelope = {name: getattr(record, name) for name in record.__struct_fields__ if name != "data"}
    return records[type(data)](data=data, **envelope)
