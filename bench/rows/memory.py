"""Memory of a kernel's state, for every 100,000 aggregates, beside the bytes of their log."""

from bench.load.memory import Growth
from bench.load.orders import Order
from bench.processes import Worker
from bench.report import Baseline, Row, row
from bench.rows.group import Group, Options, check
from bench.site import site

NAME = "memory_per_100k_aggregates"
AGGREGATES = 100_000
_MIB = 2**20
_PER_SECOND = 25_000  # Tasks made for each second of a window: 100,000 at the default of four.


def measure(options: Options) -> list[Row]:
    """Fill a log with tasks, then fold it in a fresh process."""
    with site("kernel-1") as here:
        here.found()
        with Worker("commands_nats", here.place()) as load:
            made = load.window(Order(count=int(_PER_SECOND * options.seconds)))
        check(made.refused == 0, f"{made.refused} tasks were refused")
        here.stop("kernel-1")
        with Worker("memory", here.place()) as work:
            growth = work.ask(Order(count=here.head().seq), Growth)
    check(growth.tasks == made.count, f"{growth.tasks} tasks are in the state, not {made.count}")
    scale = AGGREGATES / growth.tasks / _MIB
    baseline = Baseline(name="log_bytes", value=growth.log_bytes * scale)
    details = {"tasks": float(growth.tasks), "bytes_per_task": growth.state_bytes / growth.tasks}
    return [row(NAME, growth.state_bytes * scale, "MiB", baseline, details=details)]


GROUP = Group({NAME: "MiB of kernel state for 100,000 tasks and their outcomes, beside the MiB of their log"}, measure)
