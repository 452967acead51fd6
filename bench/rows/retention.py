"""The memory of outcomes and finished tasks, beside what they took up to feature level 3."""

from mpschema.levels import HOUSE_LEVEL

from bench.load.orders import Order, Place
from bench.load.retention import Retained
from bench.processes import Worker
from bench.report import Baseline, Row, Target, row
from bench.rows.group import Group, Options

OUTCOMES, TASKS = "memory_per_10m_outcomes", "memory_per_1m_finished_tasks"
OUTCOMES_PAUSE, TASKS_PAUSE = "snapshot_pause_10m_outcomes", "snapshot_pause_1m_finished_tasks"
_OF = {OUTCOMES: 10_000_000, TASKS: 1_000_000}
_PAUSES = {OUTCOMES: OUTCOMES_PAUSE, TASKS: TASKS_PAUSE}
_PER_SECOND = {OUTCOMES: 250_000, TASKS: 25_000}
"""Made for each second of a window: a tenth of the whole at the default of four. Their growth gives the rest."""
_TARGETS = {OUTCOMES: Target(what="value", most=600), TASKS: Target(what="value", most=100)}
_PAUSE_TARGET = Target(what="value", most=50)
_MEGABYTE = 1e6


def measure(options: Options) -> list[Row]:
    """Fill a process at each of the two levels."""
    rows = []
    for name, whole in _OF.items():
        if not options.wants(name, _PAUSES[name]):
            continue
        count = min(whole, int(_PER_SECOND[name] * options.seconds))
        ours, former = (_retained(name, count, whole, level) for level in (HOUSE_LEVEL, HOUSE_LEVEL - 1))
        details = {"measured": float(count), "bytes_each": ours.state_bytes / whole}
        before = Baseline(name="level_3", value=former.state_bytes / _MEGABYTE)
        rows.append(row(name, ours.state_bytes / _MEGABYTE, "MB", before, target=_TARGETS[name], details=details))
        before = Baseline(name="level_3", value=former.pause_ms)
        rows.append(row(_PAUSES[name], ours.pause_ms, "ms", before, target=_PAUSE_TARGET, details=details))
    return rows


def _retained(name: str, count: int, whole: int, level: int) -> Retained:
    """Extrapolate to `whole` from the growth between half of those measured and all."""
    with Worker("retention", Place()) as work:
        order = Order(count=count, in_flight=level, text="tasks" if name == TASKS else "outcomes")
        half, all_ = work.ask(order, list[Retained])
    more = (whole - all_.count) / (all_.count - half.count)
    return Retained(
        count=whole,
        state_bytes=all_.state_bytes + int(more * (all_.state_bytes - half.state_bytes)),
        pause_ms=all_.pause_ms + more * max(0.0, all_.pause_ms - half.pause_ms),
    )


GROUP = Group(
    {
        OUTCOMES: "MB of kernel state for ten million outcomes, beside what they took before level 4",
        OUTCOMES_PAUSE: "ms in which a snapshot takes hold of them, likewise",
        TASKS: "MB of kernel state for a million finished tasks, likewise",
        TASKS_PAUSE: "ms in which a snapshot takes hold of them, likewise",
    },
    measure,
)
