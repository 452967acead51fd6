"""Examples of the events and rows about a sweep: one of each."""

import msgspec

from mpschema import story
from mpschema.base import Command, Event
from mpschema.sweep import SweepAdvanced, SweepBegun, SweepEnded, SweepKind
from mpschema.sweep.rows import SweepRow

ID = "sweep_5e1f0c9d2e"
COMMANDS: tuple[Command, ...] = ()
EVENTS: tuple[Event, ...] = (
    SweepBegun(kind=SweepKind.DESCENDANTS, scope=story.SESSION, due_ms=story.EXPIRES_AT_MS),
    SweepAdvanced(done=200),
    SweepEnded(done=4_711),
)
ROWS: tuple[msgspec.Struct, ...] = (
    SweepRow(
        **story.CHANGED,
        id=ID,
        kind=SweepKind.DESCENDANTS,
        scope=story.SESSION,
        state="running",
        done=200,
        due_at=story.LATER,
    ),
)
