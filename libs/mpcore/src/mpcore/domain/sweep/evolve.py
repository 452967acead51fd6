"""The events of a sweep, as they change its state."""

from mpschema.envelope import EventRecord
from mpschema.sweep import SweepAdvanced, SweepBegun, SweepEnded
from msgspec.structs import replace

from mpcore.domain.sweep.state import Sweep
from mpcore.state.rules import Evolves

PAUSE_MS = 1
"""Between two steps, so that each is in a commit of its own: all that is in a commit has one time."""


def _begun(_: None, event: SweepBegun, record: EventRecord) -> Sweep:
    return Sweep(
        record.aggregate_id, record.version, event.kind, event.scope, True, 0, next_ms=record.time_ms + PAUSE_MS
    )


def _advanced(sweep: Sweep, event: SweepAdvanced, record: EventRecord) -> Sweep:
    return replace(sweep, version=record.version, done=event.done, next_ms=record.time_ms + PAUSE_MS)


def _ended(sweep: Sweep, event: SweepEnded, record: EventRecord) -> Sweep:
    return replace(sweep, version=record.version, done=event.done, running=False, next_ms=0)


EVOLVE: Evolves = {SweepBegun: _begun, SweepAdvanced: _advanced, SweepEnded: _ended}
