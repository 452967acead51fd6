"""Commands over NATS: the real domain beside a transaction per command, and beside bare durable publishes."""

from contextlib import ExitStack
from dataclasses import dataclass

from mpbus.reader import LogPosition

from bench.load.orders import Order
from bench.processes import Worker
from bench.report import Baseline, Row, Target, rate_row, row, with_samples
from bench.rows.group import Group, Options, check
from bench.site import Site, site
from bench.windows import Lane, Samples, in_turn

IN_FLIGHT = (1, 64, 256)
WARM_SECONDS = 0.5
_TARGETS = {64: Target(what="ratio", least=4), 256: Target(what="ratio", least=5)}
_P50 = "p50_1_vs_bare_publish"
_ROWS = {f"commands_nats_{n}": f"commands/s over NATS, {n} in flight, beside postgres_occ" for n in IN_FLIGHT}
_ROWS |= {
    f"commands_nats_{n}_vs_bare_publish": f"the same beside bare durable publishes, {n} in flight" for n in (64, 256)
}
_ROWS |= {_P50: "median milliseconds of a command, 1 in flight, beside one bare durable publish"}


@dataclass
class Sides:
    """Our path and both baselines, each with a load of its own, and what was acknowledged."""

    here: Site
    commands: Worker
    transactions: Worker
    publishes: Worker
    commands_done: int = 0
    transactions_done: int = 0

    def in_turn(self, in_flight: int, options: Options) -> list[Row]:
        """Windows of all sides at one number in flight, as rows."""
        warm = Order(in_flight=in_flight, seconds=WARM_SECONDS)
        self.publishes.window(warm)
        self.transactions_done += self.transactions.window(warm).count
        self.commands_done += self.commands.window(warm).count
        before = self.here.messages()
        samples = in_turn(options.rhythm, self._lanes(Order(in_flight=in_flight, seconds=options.seconds)))
        after = self.here.messages()
        for lane in samples.values():
            check(lane.refused == 0, f"{lane.refused} commands of {lane.name} were refused")
        count = samples["ours"].count
        self.commands_done += count
        self.transactions_done += samples["postgres_occ"].count
        rows = _rows(in_flight, samples)
        rows[0].details = {
            "commands_per_message": count / (after[0] - before[0]),
            "commands_per_commit": count / (after[1] - before[1]),
        }
        return rows

    def check_stored(self, after: LogPosition) -> None:
        """Check that each acknowledged command is stored once."""
        check(self.here.outcomes_after(after) == self.commands_done, "the log does not hold each command once")
        stored = self.here.baseline_events()
        check(stored == self.transactions_done, "the baseline did not store each command once")

    def _lanes(self, order: Order) -> list[Lane]:
        here, commands, transactions, publishes = self.here, self.commands, self.transactions, self.publishes
        return [
            Lane(
                "postgres_occ",
                lambda: transactions.window(order),
                lambda: {"load": transactions.pid, "postgres": here.stack.postgres.pid},
            ),
            Lane("ours", lambda: commands.window(order), lambda: here.pids("kernel-1", "nats", load=commands.pid)),
            Lane("bare_publish", lambda: publishes.window(order), lambda: here.pids("nats", load=publishes.pid)),
        ]


def measure(options: Options) -> list[Row]:
    """All wanted rows of this group."""
    with ExitStack() as stack:
        here = stack.enter_context(site("kernel-1"))
        here.found()
        here.prepare_baseline()
        before = here.head()
        modules = ("commands_nats", "transactions", "publishes")
        commands, transactions, publishes = (stack.enter_context(Worker(name, here.place())) for name in modules)
        sides = Sides(here, commands, transactions, publishes)
        rows: list[Row] = []
        for in_flight in IN_FLIGHT:
            if options.wants(*(name for name in _ROWS if f"_{in_flight}" in name)):
                rows += sides.in_turn(in_flight, options)
        sides.check_stored(before)
    return rows


def _rows(in_flight: int, samples: dict[str, Samples]) -> list[Row]:
    ours, transactions, publishes = samples["ours"], samples["postgres_occ"], samples["bare_publish"]
    rows = [rate_row(f"commands_nats_{in_flight}", "commands/s", ours, transactions, _TARGETS.get(in_flight))]
    if in_flight == 1:
        baseline = Baseline(name=publishes.name, value=publishes.p50_ms)
        made = row(_P50, ours.p50_ms, "ms", baseline, target=Target(what="ratio", most=4))
        rows.append(with_samples(made, ours, publishes))
    else:
        rows.append(rate_row(f"commands_nats_{in_flight}_vs_bare_publish", "commands/s", ours, publishes))
    return rows


GROUP = Group(_ROWS, measure)
