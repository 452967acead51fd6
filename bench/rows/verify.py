"""`mpctl log verify` beside a bare drain of the same log: one of large commits, and one of small ones."""

import json
import os
import subprocess
import sys

from bench.load.orders import Order, Window
from bench.processes import Worker
from bench.report import Row, Target, rate_row
from bench.rows.group import Group, Options, check
from bench.site import Site, site
from bench.windows import Lane, in_turn

VERIFY = "log_verify"
SMALL = "log_verify_small_commits"
_TARGET = Target(what="value", least=300_000)
_IN_FLIGHT = 16
_EVENTS_PER_SECOND = 40_000  # Events in the log for each second of a window: 160,000 at the default of four.
_STEP_SECONDS = 2.0
_MPCTL = "from mpclient.cli.main import main; main()"


def measure(options: Options) -> list[Row]:
    """Fill a log with few commands in flight, so that commits are small, and verify it."""
    with site("kernel-1") as here:
        here.found()
        with Worker("commands_nats", here.place()) as load:
            while here.head().seq < _EVENTS_PER_SECOND * options.seconds:
                made = load.window(Order(in_flight=_IN_FLIGHT, seconds=_STEP_SECONDS))
                check(made.refused == 0, f"{made.refused} commands were refused")
        here.stop("kernel-1")
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
    """What it says of its own speed: starting a Python takes longer than such a log."""
    command = [sys.executable, "-c", _MPCTL, "log", "verify", "--json"]
    environment = os.environ | {"MP_NATS_URL": here.stack.nats_url, "MP_HOME": str(here.stack.folder)}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    check(done.returncode == 0, f"mpctl log verify ended with {done.returncode}: {done.stdout}")
    answer = json.loads(done.stdout)
    check(answer["last_seq"] == events, f"{answer['last_seq']} of {events} events were verified")
    return Window(count=events, seconds=events / answer["events_per_second"])


GROUP = Group({SMALL: "events/s checked by `mpctl log verify` where commits are small, beside a bare drain"}, measure)
