"""Commands over HTTP: through the gateway, beside a transaction per command behind the same framework and server."""

from contextlib import ExitStack
from dataclasses import dataclass

from mpbus.reader import LogPosition
from mpd.process import ChildProcess

from bench.apps import baseline_app
from bench.load.orders import Order
from bench.processes import Worker
from bench.report import Row, Target, rate_row
from bench.rows.group import Group, Options, check
from bench.site import Site, site
from bench.windows import Lane, in_turn

IN_FLIGHT = (1, 64, 256)
BASELINE = "postgres_occ_http"
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

    def measure(self, name: str, order: Order, options: Options, target: Target | None) -> Row:
        """Windows of both sides in turn, as a row."""
        here, ours, theirs = self.here, self.ours, self.theirs
        warm = Order(in_flight=order.in_flight, count=order.count, seconds=WARM_SECONDS)
        self.theirs_acknowledged += theirs.window(warm).count
        self.ours_acknowledged += ours.window(warm).count
        before = here.messages()
        samples = in_turn(
            options.rhythm,
            [
                Lane(
                    BASELINE,
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
        after = here.messages()
        for lane in samples.values():
            check(lane.refused == 0, f"{lane.refused} commands of {lane.name} were refused")
        count = samples["ours"].count
        self.theirs_acknowledged += samples[BASELINE].count
        self.ours_acknowledged += count
        made = rate_row(name, "commands/s", samples["ours"], samples[BASELINE], target)
        made.details = {
            "commands_per_message": count / (after[0] - before[0]),
            "commands_per_commit": count / (after[1] - before[1]),
        }
        return made

    def check_stored(self, after: LogPosition) -> None:
        """Check that each acknowledged command is stored once."""
        check(self.here.outcomes_after(after) == self.ours_acknowledged, "the log does not hold each command once")
        stored = self.here.baseline_events()
        check(stored == self.theirs_acknowledged, "the baseline did not store each command once")


def measure(options: Options) -> list[Row]:
    """All wanted rows of this group."""
    with ExitStack() as stack:
        here = stack.enter_context(site("kernel-1", "gateway-1"))
        here.found()
        here.prepare_baseline()
        before = here.head()
        app, port = stack.enter_context(baseline_app("occ_app", here.place(), here.stack.folder))
        ours = stack.enter_context(Worker("commands_http", here.place()))
        theirs = stack.enter_context(Worker("commands_http", here.place_at(port)))
        sides = Sides(here, app, ours, theirs)
        rows: list[Row] = []
        for in_flight in IN_FLIGHT:
            name = f"commands_http_{in_flight}"
            if options.wants(name):
                order = Order(in_flight=in_flight, seconds=options.seconds)
                rows.append(sides.measure(name, order, options, _TARGETS.get(in_flight)))
        if options.wants(BATCH):
            order = Order(in_flight=BATCHES_IN_FLIGHT, count=BATCH_LINES, seconds=options.seconds)
            rows.append(sides.measure(BATCH, order, options, _BATCH_TARGET))
        sides.check_stored(before)
    return rows


GROUP = Group(
    {f"commands_http_{n}": f"commands/s over HTTP, one a request, {n} in flight" for n in IN_FLIGHT}
    | {BATCH: f"commands/s over HTTP in NDJSON batches of {BATCH_LINES}, {BATCHES_IN_FLIGHT} in flight"},
    measure,
)
