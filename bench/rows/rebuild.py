"""All views rebuilt from a long log beside the reading and copying of the same bytes."""

import json
import os
import resource
import subprocess
import sys
from typing import Any

from mpviews import VIEWS

from bench.load.orders import Order, Window
from bench.processes import Worker
from bench.report import Row, Target, rate_row
from bench.rows.group import Options, check
from bench.site import Site
from bench.windows import Lane, Samples, in_turn

REBUILD = "rebuild"
RATIO = "rebuild_vs_stream_copy"
_MPCTL = "from mpclient.cli.main import main; main()"


def rebuild_rows(options: Options, here: Site, events: int) -> list[Row]:
    """Rebuild every projection by the operator's own command, in turn with the baseline."""
    spent = 0.0

    def rebuild() -> Window:
        nonlocal spent
        before = _children_seconds()
        answer = _mpctl(here, "rebuild", "all")
        spent += _children_seconds() - before
        check({build["position"] for build in answer["builds"]} == {events}, "a build does not have every event")
        for name in VIEWS:
            _mpctl(here, "drop", name)
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
    return [
        _row(REBUILD, samples, Target(what="value", least=30_000), events),
        _row(RATIO, samples, Target(what="ratio", least=0.25), events),
    ]


def _row(name: str, samples: dict[str, Samples], target: Target, events: int) -> Row:
    made = rate_row(name, "events/s", samples["ours"], samples["stream_copy"], target)
    made.details = {"events": float(events)}
    return made


def _mpctl(here: Site, *words: str) -> dict[str, Any]:
    """What `mpctl projection …` answers."""
    environment = os.environ | {"MP_NATS_URL": here.stack.nats_url, "MP_POSTGRES_OWNER_DSN": here.postgres_dsn}
    command = [sys.executable, "-c", _MPCTL, "projection", *words, "--json"]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    check(done.returncode == 0, f"mpctl projection {' '.join(words)} ended with {done.returncode}: {done.stdout}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
