"""All views rebuilt from a long log beside the reading and copying of the same bytes."""

from mpviews import VIEWS

from bench.load.orders import Order, Window
from bench.processes import Worker, mpctl
from bench.report import Row, Target, rate_row
from bench.rows.group import Options, check
from bench.site import Site
from bench.windows import Lane, Samples, in_turn

REBUILD = "rebuild"
RATIO = "rebuild_vs_stream_copy"


def rebuild_rows(options: Options, here: Site, events: int) -> list[Row]:
    """Rebuild every projection by the operator's own command, in turn with the baseline."""
    environment = {"MP_NATS_URL": here.nats_url, "MP_POSTGRES_OWNER_DSN": here.postgres_dsn}
    spent, memory = 0.0, 0.0

    def rebuild() -> Window:
        nonlocal spent, memory
        answer, seconds, most = mpctl(environment, "projection", "rebuild", "all")
        spent, memory = spent + seconds, max(memory, most)
        check({build["position"] for build in answer["builds"]} == {events}, "a build does not have every event")
        for name in VIEWS:
            mpctl(environment, "projection", "drop", name)
        return Window(count=answer["events"], seconds=answer["seconds"])

    with Worker("stream_copies", here.place()) as copies:
        copying = Lane(
            "stream_copy",
            lambda: copies.window(Order(count=events)),
            lambda: here.pids("nats", "postgres", copy=copies.pid),
        )
        rebuilding = Lane("ours", rebuild, lambda: here.pids("nats", "postgres"))
        samples = in_turn(options.rhythm, [copying, rebuilding])
    samples["ours"].cpu_seconds["rebuild"] = spent
    details = {"events": float(events), "memory_mib": memory}
    return [
        _row(REBUILD, samples, Target(what="value", least=30_000), details),
        _row(RATIO, samples, Target(what="ratio", least=0.25), details),
    ]


def _row(name: str, samples: dict[str, Samples], target: Target, details: dict[str, float]) -> Row:
    made = rate_row(name, "events/s", samples["ours"], samples["stream_copy"], target)
    made.details = details
    return made
