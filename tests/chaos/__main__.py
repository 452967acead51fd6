"""`python -m tests.chaos [--faults N] [--seed N]`: a storm of faults on real servers, then every promise checked."""

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from tests.chaos.arena import CLIENTS, arena
from tests.chaos.faults import inflict

_CHECK_EVERY = 100
"""Faults between two checks of every promise."""


async def storm(folder: Path, faults: int, seed: int) -> None:
    """Inflict, and check now and then and in the end. Raises what it found."""
    columns = (TextColumn("{task.description:<22}"), BarColumn(), MofNCompleteColumn())
    columns += (TimeElapsedColumn(), TimeRemainingColumn())  # type: ignore[assignment]  # a tuple of columns it stays
    async with arena(folder, seed) as made:
        over = asyncio.Event()
        working = asyncio.create_task(made.cluster.load.run(CLIENTS, CLIENTS, until=over))
        with Progress(*columns) as progress:
            bar = progress.add_task("faults", total=faults)
            for number in range(1, faults + 1):
                name = await inflict(made)
                progress.update(bar, advance=1, description=name)
                if number % _CHECK_EVERY == 0:
                    await made.cluster.audit()
        over.set()
        await working
        await made.check()
        events = len(made.watcher.seen)
        print(f"{faults} faults, {len(made.cluster.load.acknowledged)} commands, {events} events, no promise broken")
        for name, count in made.inflicted.most_common():
            print(f"  {count:>6}  {name}")


def main() -> int:
    """0 when every promise was kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faults", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mp-chaos-") as folder:
        asyncio.run(storm(Path(folder), options.faults, options.seed))
    print(f"seed {options.seed}, {time.monotonic() - started:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
