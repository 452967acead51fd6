"""Commands over NATS: the real domain beside a transaction per command, and beside bare durable publishes."""

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


def measure(options: Options) -> list[Row]:
    """All wanted rows of this group."""
    with site("kernel-1") as here:
        here.found()
        here.prepare_baseline()
        before = here.head()
        rows: list[Row] = []
        with (
            Worker("commands_nats", here.place()) as commands,
            Worker("transactions", here.place()) as transactions,
            Worker("publishes", here.place()) as publishes,
        ):
            done = {"commands": 0, "transactions": 0}
            for in_flight in IN_FLIGHT:
                names = [name for name in _ROWS if f"_{in_flight}" in name.replace("_vs_bare_publish", "")]
                if not options.wants(*names):
                    continue
                samples = _in_turn(options, in_flight, here, commands, transactions, publishes, done)
                rows += _rows(in_flight, samples)
        check(here.outcomes_after(before) == done["commands"], "the log does not hold each command once")
        check(here.baseline_events() == done["transactions"], "the baseline did not store each command once")
    return rows


def _in_turn(
    options: Options,
    in_flight: int,
    here: Site,
    commands: Worker,
    transactions: Worker,
    publishes: Worker,
    done: dict[str, int],
) -> dict[str, Samples]:
    order = Order(in_flight=in_flight, seconds=options.seconds)
    warm = Order(in_flight=in_flight, seconds=WARM_SECONDS)
    done["commands"] += commands.window(warm).count
    done["transactions"] += transactions.window(warm).count
    publishes.window(warm)
    samples = in_turn(
        options.rhythm,
        [
            Lane(
                "postgres_occ",
                lambda: transactions.window(order),
                lambda: {"load": transactions.pid, "postgres": here.stack.postgres.pid},
            ),
            Lane(
                "ours",
                lambda: commands.window(order),
                lambda: here.pids("kernel-1", "nats", load=commands.pid),
            ),
            Lane(
                "bare_publish",
                lambda: publishes.window(order),
                lambda: here.pids("nats", load=publishes.pid),
            ),
        ],
    )
    done["commands"] += samples["ours"].count
    done["transactions"] += samples["postgres_occ"].count
    for lane in samples.values():
        check(lane.refused == 0, f"{lane.refused} commands of {lane.name} were refused")
    return samples


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
