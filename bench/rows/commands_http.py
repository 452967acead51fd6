"""Commands over HTTP: through the gateway, beside a transaction per command behind the same framework and server."""

from contextlib import ExitStack
from dataclasses import dataclass

from mpd.process import ChildProcess

from bench.apps import baseline_app
from bench.load.orders import Order
from bench.processes import Worker
from bench.report import Row, Target, rate_row
from bench.rows.group import Group, Options, check
from bench.site import Site, site
from bench.windows import Lane, Rhythm, Samples, in_turn

IN_FLIGHT = (1, 64, 256)
BATCH = "commands_http_batch"
BATCH_LINES = 256
BATCHES_IN_FLIGHT = 4
WARM_SECONDS = 0.5
_TARGETS = {64: Target(what="ratio", least=1.5)}
_BATCH_TARGET = Target(what="value", least=10_000)


@dataclass
class Sides:
    """Our gateway and the baseline's application, each with a load of its own, and what each acknowledged."""

    here: Site
    app: ChildProcess
    ours: Worker
    theirs: Worker
    ours_acknowledged: int = 0
    theirs_acknowledged: int = 0

    def in_turn(self, order: Order, rhythm: Rhythm) -> tuple[Samples, Samples]:
        """Windows of both sides: ours, and the baseline's."""
        here, ours, theirs = self.here, self.ours, self.theirs
        warm = Order(in_flight=order.in_flight, count=order.count, seconds=WARM_SECONDS)
        self.theirs_acknowledged += theirs.window(warm).count
        self.ours_acknowledged += ours.window(warm).count
        samples = in_turn(
            rhythm,
            [
                Lane(
                    "postgres_occ_http",
                    lambda: theirs.window(order),
                    lambda: {"load": theirs.pid, "app": self.app.pid, "postgres": here.stack.postgres.pid},
                ),
                Lane(
                    "ours",
                    lambda: ours.window(order),
                    lambda: here.pids("gateway-1", "kernel-1", "nats", load=ours.pid),
                ),
            ],
        )
        for lane in samples.values():
            check(lane.refused == 0, f"{lane.refused} commands of {lane.name} were refused")
        self.theirs_acknowledged += samples["postgres_occ_http"].count
        self.ours_acknowledged += samples["ours"].count
        return samples["ours"], samples["postgres_occ_http"]


def measure(options: Options) -> list[Row]:
    """All wanted rows of this group."""
    with ExitStack() as stack:
        here = stack.enter_context(site("kernel-1", "gateway-1"))
        here.found()
        here.prepare_baseline()
        before = here.head()
        place = here.place()
        app, port = stack.enter_context(baseline_app("occ_app", place, here.stack.folder))
        ours = stack.enter_context(Worker("commands_http", here.place()))
        theirs = stack.enter_context(Worker("commands_http", here.place_at(port)))
        sides = Sides(here, app, ours, theirs)
        rows: list[Row] = []
        for in_flight in IN_FLIGHT:
            name = f"commands_http_{in_flight}"
            if options.wants(name):
                order = Order(in_flight=in_flight, seconds=options.seconds)
                rows.append(
                    rate_row(name, "commands/s", *sides.in_turn(order, options.rhythm), _TARGETS.get(in_flight))
                )
        if options.wants(BATCH):
            order = Order(in_flight=BATCHES_IN_FLIGHT, count=BATCH_LINES, seconds=options.seconds)
            rows.append(rate_row(BATCH, "commands/s", *sides.in_turn(order, options.rhythm), _BATCH_TARGET))
        check(here.outcomes_after(before) == sides.ours_acknowledged, "the log does not hold each command once")
        check(here.baseline_events() == sides.theirs_acknowledged, "the baseline did not store each command once")
    return rows


GROUP = Group(
    {f"commands_http_{n}": f"commands/s over HTTP, one a request, {n} in flight" for n in IN_FLIGHT}
    | {BATCH: f"commands/s over HTTP in NDJSON batches of {BATCH_LINES}, {BATCHES_IN_FLIGHT} in flight"},
    measure,
)
