"""How fast all views are rebuilt from a long log: `python -m services.operator.tests.measure_rebuild`.

Starts a nats-server and a PostgreSQL (fsync on), writes a log of true-to-life events, and runs `mpctl projection
rebuild all`. Prints its rate with everything in it (indexes too), the processor time each process took for one event,
and the most memory it held; with `--profile`, py-spy's raw stacks of it.
"""

import argparse
import asyncio
import os
import sys
import tempfile
from pathlib import Path

import msgspec
import psutil
from mpd.servers import NatsServer, PostgresServer
from mpprojector.adapters.migrations import migrate

from services.projector.tests.measure_folding import cpu_seconds, write_log

_MPCTL = "from mpclient.cli.main import main; main()"


async def measure(events: int, per_commit: int, profile: str) -> None:
    """One run on servers of its own."""
    folder = Path(tempfile.mkdtemp(prefix="mp-measure-"))
    nats, postgres = NatsServer(folder / "nats"), PostgresServer(folder / "postgres")
    nats.start()
    postgres.start()
    try:
        await migrate(postgres.dsn(), projector_password=postgres.passwords["mp_projector"])
        events = await write_log(nats.url, events, per_commit)
        environment = os.environ | {"MP_NATS_URL": nats.url, "MP_POSTGRES_OWNER_DSN": postgres.dsn()}
        command = [sys.executable, "-c", _MPCTL, "projection", "rebuild", "all", "--json"]
        if profile:
            command = ["py-spy", "record", "-o", profile, "-f", "raw", "-r", "250", "--", *command]
        servers = {"nats": nats.pid, "postgres": postgres.pid}
        before = {name: cpu_seconds(pid) for name, pid in servers.items()}
        process = await asyncio.create_subprocess_exec(*command, env=environment, stdout=asyncio.subprocess.PIPE)
        spent, memory = await watched(process)
        spent |= {name: cpu_seconds(pid) - before[name] for name, pid in servers.items()}
        assert process.stdout is not None
        answer = msgspec.json.decode(await process.stdout.read())
        shares = ", ".join(f"{name} {used / events * 1e6:.1f}" for name, used in spent.items())
        sys.stdout.write(f"rebuilt: {answer['events_per_second']:,} events/s in {answer['seconds']:.1f} s\n")
        sys.stdout.write(f"processor microseconds an event: {shares}\nmost memory: {memory:.0f} MiB\n")
    finally:
        nats.kill()
        postgres.kill()


async def watched(process: asyncio.subprocess.Process) -> tuple[dict[str, float], float]:
    """Processor seconds and most memory (MiB) of a process, until it ends."""
    spent, memory = 0.0, 0.0
    while process.returncode is None:
        try:
            spent = cpu_seconds(process.pid)
            memory = max(memory, psutil.Process(process.pid).memory_info().rss / 2**20)
        except psutil.Error:
            break
        await asyncio.sleep(0.1)
    await process.wait()
    return {"rebuild": spent}, memory


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
