"""`python -m tests.simulation [--seeds N] [--from N] [--jobs N] | --seed N`: storms by the thousand."""

import argparse
import gc
import multiprocessing
import sys
import time
from collections import Counter

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from tests.simulation.running import Result, simulate


def _prepare() -> None:
    """A storm is short and its garbage small: collect seldom, and never what was imported."""
    gc.set_threshold(100_000, 50, 50)
    gc.freeze()


def _try(seed: int) -> tuple[int, Result | str]:
    try:
        return seed, simulate(seed)
    except Exception as error:
        return seed, f"{type(error).__name__}: {error}"


def _many(first: int, count: int, jobs: int) -> int:
    faults: Counter[str] = Counter()
    failed: list[int] = []
    events = 0
    started = time.monotonic()
    columns = (TextColumn("seeds"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with multiprocessing.Pool(jobs, _prepare) as pool, Progress(*columns) as progress:
        bar = progress.add_task("seeds", total=count)
        for seed, result in pool.imap_unordered(_try, range(first, first + count), chunksize=8):
            progress.advance(bar)
            if isinstance(result, str):
                failed.append(seed)
                progress.console.print(f"seed {seed}: {result}")
            else:
                faults += result.faults
                events += result.events
    seconds = time.monotonic() - started
    print(
        f"seeds {first} to {first + count - 1}: {events} events, {sum(faults.values())} faults in {seconds:.0f} s "
        f"({count / seconds:.0f} seeds/s); {len(failed)} failed"
    )
    for name, number in faults.most_common():
        print(f"  {number:>8}  {name}")
    for seed in sorted(failed)[:10]:
        print(f"again: python -m tests.simulation --seed {seed}")
    return 1 if failed else 0


def main() -> int:
    """0 when no promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10_000)
    parser.add_argument("--from", dest="first", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=multiprocessing.cpu_count())
    parser.add_argument("--seed", type=int, help="run this one alone, with its traceback")
    options = parser.parse_args()
    if options.seed is not None:
        print(simulate(options.seed))
        return 0
    return _many(options.first, options.seeds, options.jobs)


if __name__ == "__main__":
    sys.exit(main())
