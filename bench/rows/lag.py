"""The lag of the read models behind acknowledged commands, with 64 in flight."""

from bisect import bisect_left

from bench.load.orders import Order, Window, percentile
from bench.processes import Worker
from bench.report import Baseline, Row, row, with_samples
from bench.rows.group import Group, Options, check
from bench.site import Site, site
from bench.windows import Lane, in_turn

NAME = "projection_lag_p99_ms"
IN_FLIGHT = 64
_WARM_SECONDS = 1.0


def measure(options: Options) -> list[Row]:
    """Load, and watch the slowest projection follow."""
    with site("kernel-1", "projector-1") as here:
        here.found()
        with Worker("commands_nats", here.place()) as commands, Worker("positions", here.place()) as positions:
            commands.window(Order(in_flight=IN_FLIGHT, seconds=_WARM_SECONDS))
            positions.window(Order(count=here.head().seq))
            return [_row(options, here, commands, positions)]


def _row(options: Options, here: Site, commands: Worker, positions: Worker) -> Row:
    lags: list[float] = []
    folded: list[float] = []

    def window() -> Window:
        acknowledged = commands.window(Order(in_flight=IN_FLIGHT, seconds=options.seconds))
        seen = positions.window(Order(count=here.head().seq))
        lags.extend(lags_of(acknowledged.marks, seen.marks))
        folded.append(seen.per_second)
        return acknowledged

    names = ("kernel-1", "projector-1", "nats", "postgres")
    lane = Lane("command_p99", window, lambda: here.pids(*names, load=commands.pid))
    samples = in_turn(options.rhythm, [lane])["command_p99"]
    check(samples.refused == 0, f"{samples.refused} commands were refused")
    lags.sort()
    made = row(NAME, percentile(lags, 0.99) * 1e3, "ms", Baseline(name=samples.name, value=samples.p99_ms))
    made = with_samples(made, samples, samples)
    made.baseline_cpu_us, made.cpu_ratio, made.baseline_rounds = {}, None, []
    made.p50_ms, made.p99_ms = round(percentile(lags, 0.5) * 1e3, 3), round(percentile(lags, 0.99) * 1e3, 3)
    made.details = {"commands_per_second": samples.per_second, "folded_per_second": sum(folded) / len(folded)}
    return made


def lags_of(acknowledged: list[tuple[int, float]], seen: list[tuple[int, float]]) -> list[float]:
    """Seconds from each acknowledgement to the first look that found its event in all projections."""
    places = [position for position, _ in seen]
    found = [(bisect_left(places, seq), at) for seq, at in acknowledged]
    return [max(0.0, seen[place][1] - at) for place, at in found]


GROUP = Group({NAME: "p99 milliseconds from a command's answer to its rows in all views, 64 in flight"}, measure)
