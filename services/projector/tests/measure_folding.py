"""How fast a projector folds a real log into real tables: `python -m services.projector.tests.measure_folding`.

Starts a nats-server and a PostgreSQL (fsync on), writes a log of true-to-life events (see `log_story`), starts one
`python -m mpprojector` and waits until every projection has folded all of it. Prints events per second, from the first
event folded to the last, and the processor time each process took for one event.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path

import asyncpg
import psutil
from mpbus.connect import connect
from mpbus.reader import HASH_HEADER
from mpbus.streams import provision
from mpd.ports import free_port
from mpd.process import ChildProcess
from mpd.servers import NatsServer, PostgresServer
from mpprojector.adapters.migrations import migrate
from mpschema.subjects import log_stream
from mpviews import VIEWS

from services.projector.tests.log_story import LogStory

SHARD = "0"
_POSITION = "SELECT coalesce(min(position), 0) FROM mp.projections WHERE (SELECT count(*) FROM mp.projections) = $1"


async def write_log(url: str, events: int, per_commit: int) -> int:
    """Put the log into its stream. Returns the number of events."""
    nc = await connect(url, "measure")
    await provision(nc, SHARD)
    js = nc.jetstream(publish_async_max_pending=64)
    seq = 0
    for commit in LogStory(workspaces=8).commits(events, per_commit):
        await js.publish_async(commit.subject, commit.data, headers={HASH_HEADER: commit.hash})
        seq = commit.position.seq
    await js.publish_async_completed()
    info = await js.stream_info(log_stream(SHARD))
    sys.stdout.write(f"log: {seq} events, {info.state.messages} commits, {info.state.bytes / seq:.0f} bytes an event\n")
    await nc.close()
    return seq


async def folded(dsn: str, events: int) -> float:
    """Wait until all is folded; the seconds from the first event to the last."""
    connection = await asyncpg.connect(dsn)
    started = None
    while True:
        position = await connection.fetchval(_POSITION, len(VIEWS)) or 0
        if position and started is None:
            started = time.perf_counter()
        if position >= events:
            await connection.close()
            return time.perf_counter() - (started or 0.0)
        await asyncio.sleep(0.02)


def cpu_seconds(pid: int) -> float:
    """Processor time of a process and its children, those that ended too."""
    process = psutil.Process(pid)
    family = [process, *process.children(recursive=True)]
    ended = process.cpu_times().children_user + process.cpu_times().children_system
    return float(ended + sum(member.cpu_times().user + member.cpu_times().system for member in family))


async def measure(events: int, per_commit: int, profile: str) -> None:
    """One run on servers of its own."""
    folder = Path(tempfile.mkdtemp(prefix="mp-measure-"))
    nats, postgres = NatsServer(folder / "nats"), PostgresServer(folder / "postgres")
    nats.start()
    postgres.start()
    await migrate(postgres.dsn(), projector_password=postgres.passwords["mp_projector"])
    events = await write_log(nats.url, events, per_commit)
    environment = {
        "MP_NATS_URL": nats.url,
        "MP_POSTGRES_DSN": postgres.dsn("mp_projector"),
        "MP_OPS_PORT": str(free_port()),
    }
    command = [sys.executable, "-m", "mpprojector"]
    if profile:
        command = ["py-spy", "record", "-o", profile, "-f", "raw", "-r", "250", "--", *command]
    projector = ChildProcess("projector", command, folder / "projector.log", environment=os.environ | environment)
    before = cpu_seconds(nats.pid or 0), cpu_seconds(postgres.pid or 0)
    try:
        projector.spawn()
        seconds = await folded(postgres.dsn(), events)
        after = cpu_seconds(nats.pid or 0), cpu_seconds(postgres.pid or 0)
        spent = {
            "nats": after[0] - before[0],
            "postgres": after[1] - before[1],
            "projector": cpu_seconds(projector.pid or 0),
        }
        memory = psutil.Process(projector.pid or 0).memory_info().rss / 2**20
        shares = ", ".join(f"{name} {used / events * 1e6:.1f}" for name, used in spent.items())
        sys.stdout.write(f"folded: {events / seconds:,.0f} events/s; processor microseconds an event: {shares}\n")
        sys.stdout.write(f"projector memory at the end: {memory:.0f} MiB\n")
    finally:
        projector.stop()
        nats.kill()
        postgres.kill()


def main() -> None:
    """Parse and run."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--events", type=int, default=300_000)
    parser.add_argument("--per-commit", type=int, default=200)
    parser.add_argument("--profile", default="", help="write py-spy's raw stacks there")
    arguments = parser.parse_args()
    asyncio.run(measure(arguments.events, arguments.per_commit, arguments.profile))


if __name__ == "__main__":
    main()
