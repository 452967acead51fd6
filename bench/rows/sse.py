"""Event streams: what reaches a thousand clients of the gateway, beside a bare server that pushes the same bytes."""

from contextlib import ExitStack

from mpd.process import ChildProcess

from bench.apps import baseline_app
from bench.load.orders import Order, Window
from bench.load.streams import Watched
from bench.processes import Worker
from bench.report import Row, rate_row
from bench.rows.group import Group, Options, check
from bench.site import Site, site
from bench.windows import Lane, Rhythm, Samples, in_turn

NAME = "sse_fan_out_1000"
CLIENTS = 1_000
_BURST_PER_SECOND = 250  # Events of a burst, for each second of a window.
_PACE_PER_SECOND = 10.0


class Side:
    """One server with its thousand clients, and who feeds it."""

    def __init__(self, clients: Worker, posts: Worker) -> None:
        self._clients = clients
        self._posts = posts
        self.frame = ""
        opened = clients.window(Order(in_flight=CLIENTS, text="open"))
        check(opened.count == CLIENTS, f"only {opened.count} clients are connected")

    def deliver(self, posts: Order) -> Window:
        """Send events and wait until every client has each of them once."""
        self._clients.tell(Order(count=posts.count, seconds=posts.rate))
        self._posts.window(posts)
        watched = self._clients.hear(Watched)
        check(watched.fewest == watched.most == posts.count, f"a client got {watched.fewest}, not {posts.count}")
        self.frame = watched.frame
        return watched.window


def measure(options: Options) -> list[Row]:
    """Bursts for the rate, then an even pace for the latency, each side in turn."""
    with ExitStack() as stack:
        here = stack.enter_context(site("kernel-1", "projector-1", "gateway-1"))
        here.found()
        place = here.place()
        app, port = stack.enter_context(baseline_app("raw_sse", place, here.stack.folder))
        workers = [stack.enter_context(Worker("streams", at)) for at in (here.place(), here.place_at(port))]
        feeders = [stack.enter_context(Worker("posts", at)) for at in (here.place(), here.place_at(port))]
        ours, theirs = Side(workers[0], feeders[0]), Side(workers[1], feeders[1])
        ours.deliver(Order(count=10))
        frame = ours.frame
        count = max(1, int(_BURST_PER_SECOND * options.seconds))
        paced = max(1, int(_PACE_PER_SECOND * options.seconds))
        lanes = _Lanes(here, app, ours, theirs, workers, frame)
        burst = lanes.in_turn(options.rhythm, Order(count=count))
        pace = lanes.in_turn(options.rhythm, Order(count=paced, rate=_PACE_PER_SECOND))
        made = rate_row(NAME, "deliveries/s", burst["ours"], burst["raw_sse"])
        made.p50_ms, made.p99_ms = round(pace["ours"].p50_ms, 3), round(pace["ours"].p99_ms, 3)
        made.baseline_p50_ms, made.baseline_p99_ms = (
            round(pace["raw_sse"].p50_ms, 3),
            round(pace["raw_sse"].p99_ms, 3),
        )
        made.details = {"clients": CLIENTS, "frame_bytes": len(frame), "paced_events_per_second": _PACE_PER_SECOND}
        return [made]


class _Lanes:
    def __init__(
        self, here: Site, app: ChildProcess, ours: Side, theirs: Side, workers: list[Worker], frame: str
    ) -> None:
        self._here, self._app, self._frame = here, app, frame
        self._ours, self._theirs, self._workers = ours, theirs, workers

    def in_turn(self, rhythm: Rhythm, order: Order) -> dict[str, Samples]:
        """Both sides with the same events."""
        bare = Order(count=order.count, rate=order.rate, text=self._frame)
        return in_turn(
            rhythm,
            [
                Lane(
                    "raw_sse",
                    lambda: self._theirs.deliver(bare),
                    lambda: {"app": self._app.pid, "clients": self._workers[1].pid},
                ),
                Lane(
                    "ours",
                    lambda: self._ours.deliver(order),
                    lambda: self._here.pids("gateway-1", clients=self._workers[0].pid),
                ),
            ],
        )


GROUP = Group({NAME: "event deliveries/s to 1,000 clients (p50/p99: from the post to the client, at 10/s)"}, measure)
