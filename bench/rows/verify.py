"""`mpctl log verify` beside a bare drain of the same log: one of large commits, and one of small ones."""

from bench.load.orders import Order, Window
from bench.processes import Worker, mpctl
from bench.report import Row, Target, rate_row
from bench.rows.filled import filled_log
from bench.rows.group import Group, Options, check
from bench.site import Site
from bench.windows import Lane, in_turn

VERIFY = "log_verify"
SMALL = "log_verify_small_commits"
_TARGET = Target(what="value", least=300_000)
_IN_FLIGHT = 16
_EVENTS_PER_SECOND = 40_000  # Events in the log for each second of a window: 160,000 at the default of four.


def measure(options: Options) -> list[Row]:
    """Fill a log with few commands in flight, so that commits are small, and verify it."""
    with filled_log(_EVENTS_PER_SECOND * options.seconds, _IN_FLIGHT) as here:
        return [verify_row(SMALL, options, here)]


def verify_row(name: str, options: Options, here: Site) -> Row:
    """Verify the whole log by the operator's own command, in turn with the baseline."""
    head = here.head()
    order = Order(count=head.seq)
    with Worker("drain", here.place()) as drain:
        samples = in_turn(
            options.rhythm,
            [
                Lane("drain", lambda: drain.window(order), lambda: here.pids("nats", drain=drain.pid)),
                Lane("ours", lambda: _verified(here, head.seq), lambda: here.pids("nats")),
            ],
        )
    made = rate_row(name, "events/s", samples["ours"], samples["drain"], _TARGET)
    made.details = {"events": float(head.seq), "events_per_commit": head.seq / head.stream_seq}
    return made


def _verified(here: Site, events: int) -> Window:
    """Return the window by the command's own clock: starting Python takes longer than such a log."""
    answer = mpctl({"MP_NATS_URL": here.nats_url, "MP_HOME": str(here.stack.folder)}, "log", "verify").answer
    check(answer["last_seq"] == events, f"{answer['last_seq']} of {events} events were verified")
    return Window(count=events, seconds=events / answer["events_per_second"])


GROUP = Group({SMALL: "events/s checked by `mpctl log verify` where commits are small, beside a bare drain"}, measure)
