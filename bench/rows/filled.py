"""A site with a log worth reading."""

from collections.abc import Iterator
from contextlib import contextmanager

from bench.load.orders import Order
from bench.processes import Worker
from bench.rows.group import check
from bench.site import Site, site

_STEP_SECONDS = 2.0


@contextmanager
def filled_log(events: float, in_flight: int) -> Iterator[Site]:
    """A site whose log holds at least so many events, written by a kernel that has stopped since.

    The more commands are in flight, the larger are the commits.
    """
    with site("kernel-1") as here:
        here.found()
        with Worker("commands_nats", here.place()) as load:
            while here.head().seq < events:
                made = load.window(Order(in_flight=in_flight, seconds=_STEP_SECONDS))
                check(made.refused == 0, f"{made.refused} commands were refused")
        here.stop("kernel-1")
        yield here
