"""Readers of the log: replay into kernel state beside a bare drain, catching up and rebuilding beside COPY."""

import asyncio
import time

import asyncpg
from mpd.servers.postgres import DATABASE
from mpviews import VIEWS

from bench.load.orders import Order, Window
from bench.processes import Worker, cpu_seconds
from bench.report import Row, Target, rate_row
from bench.rows.filled import filled_log
from bench.rows.group import Group, Options, check
from bench.rows.rebuild import RATIO, REBUILD, rebuild_rows
from bench.rows.verify import VERIFY, verify_row
from bench.site import Site
from bench.windows import Lane, in_turn

REPLAY = "replay"
CATCH_UP = "projection_catch_up"
_IN_FLIGHT = 256
_EVENTS_PER_SECOND = 80_000  # Events in the log for each second of a window: 320,000 at the default of four.
_POLL_SECONDS = 0.01
_CATCH_UP_SECONDS_MAX = 300.0
_POSITION = "SELECT min(position) FROM mp.projections HAVING count(*) = $1"


def measure(options: Options) -> list[Row]:
    """Fill a log through the kernel, then read it in each way."""
    with filled_log(_EVENTS_PER_SECOND * options.seconds, _IN_FLIGHT) as here:
        events = here.head().seq
        rows = [_replay(options, here, events)] if options.wants(REPLAY) else []
        rows += [verify_row(VERIFY, options, here)] if options.wants(VERIFY) else []
        rows += rebuild_rows(options, here, events) if options.wants(REBUILD, RATIO) else []
        return [*rows, _catch_up(options, here, events)] if options.wants(CATCH_UP) else rows


def _replay(options: Options, here: Site, events: int) -> Row:
    order = Order(count=events)
    with Worker("replay", here.place()) as replay, Worker("drain", here.place()) as drain:
        samples = in_turn(
            options.rhythm,
            [
                Lane("drain", lambda: drain.window(order), lambda: here.pids("nats", drain=drain.pid)),
                Lane("ours", lambda: replay.window(order), lambda: here.pids("nats", replay=replay.pid)),
            ],
        )
    ours, drained = samples["ours"], samples["drain"]
    check({window.bytes for window in ours.windows} == {window.bytes for window in drained.windows}, "bytes differ")
    made = rate_row(REPLAY, "events/s", ours, drained, Target(what="value", least=100_000))
    window = ours.windows[0]
    made.details = {"events": float(events), "bytes_per_event": window.bytes / events}
    return made


def _catch_up(options: Options, here: Site, events: int) -> Row:
    databases = [f"catch_up_{number}" for number in range(options.rhythm.rounds)]
    for name in databases:
        here.stack.postgres.create_database(name, template=DATABASE)
    left = iter(databases)
    spent = 0.0

    def fold() -> Window:
        nonlocal spent
        database = next(left)
        projector = here.stack.process("projector-1")
        projector.environment["MP_POSTGRES_DSN"] = here.stack.postgres.dsn("mp_projector", database)
        projector.start()
        window = asyncio.run(_caught_up(here.stack.postgres.dsn(database=database), events))
        spent += cpu_seconds(projector.pid)
        projector.stop()
        return window

    folding = Lane("ours", fold, lambda: here.pids("nats", "postgres"))
    with Worker("copies", here.place()) as copies:
        copying = Lane(
            "copy",
            lambda: copies.window(Order()),
            lambda: {"copy": copies.pid, "postgres": here.stack.postgres.pid},
        )
        samples = in_turn(options.rhythm, [copying, folding])
    samples["ours"].cpu_seconds["projector"] = spent
    made = rate_row(CATCH_UP, "events/s", samples["ours"], samples["copy"], Target(what="value", least=25_000))
    made.details = {"events": float(events)}
    return made


async def _caught_up(dsn: str, events: int) -> Window:
    """Wait until every projection has folded all events. Time runs from the first transaction of the slowest."""
    connection = await asyncpg.connect(dsn)
    deadline = time.perf_counter() + _CATCH_UP_SECONDS_MAX
    began, first = 0.0, 0
    while True:
        position = await connection.fetchval(_POSITION, len(VIEWS)) or 0
        now = time.perf_counter()
        if position and not first:
            began, first = now, position
        if position >= events:
            await connection.close()
            return Window(count=events - first, seconds=now - began)
        check(now < deadline, f"after {_CATCH_UP_SECONDS_MAX:g} s the projections are at {position} of {events}")
        await asyncio.sleep(_POLL_SECONDS)


GROUP = Group(
    {
        REPLAY: "events/s of hash check, decode and evolve into kernel state, beside a bare drain of the same log",
        VERIFY: "events/s whose hashes, links and positions `mpctl log verify` checks, beside a bare drain",
        REBUILD: "events/s rebuilt into new tables of all views, indexes too, beside reading and copying the log",
        RATIO: "the same as a share of the baseline: at most four times its time",
        CATCH_UP: "events/s folded into all views while catching up, beside COPY of the same bytes into one table",
    },
    measure,
)
