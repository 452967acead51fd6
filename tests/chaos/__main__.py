"""`python -m tests.chaos [--faults N] [--seed N] [--terrain NAME] [--only FAULT]`: storms on real servers.

Without a terrain the faults are spread over all of them: one node, three nodes, small disks. Every promise is checked
at the end of each storm. Prints how to see a broken one again. `--nodes 3` is short for the terrain of three nodes.
"""

import argparse
import asyncio
import json
import logging
import random
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path
from statistics import median

import structlog
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from tests.chaos.disks import in_namespace, why_not
from tests.chaos.ports import own_ports
from tests.chaos.storm import Order, PromiseBroken, Report, storm
from tests.chaos.terrains import LIMITS, ONE_NODE, TERRAINS, THREE_NODES

_console = Console(highlight=False, soft_wrap=True)


def orders(options: argparse.Namespace) -> list[Order]:
    """The storms that are wanted."""
    only, seed = frozenset(options.only or ()), options.seed
    named = options.terrain or {"1": ONE_NODE.name, "3": THREE_NODES.name}.get(options.nodes)
    if named:
        return [Order(TERRAINS[named], options.faults, seed, only)]
    spread = [terrain for terrain in TERRAINS.values() if terrain.share]
    return [Order(terrain, max(1, round(options.faults * terrain.share)), seed, only) for terrain in spread]


Met = dict[str, int]
"""The number of faults of each kind, by its name."""


def blow(order: Order) -> Met | None:
    """One storm, with its progress shown. None where a promise was broken."""
    columns = (TextColumn("{task.description:<34}"), BarColumn(), MofNCompleteColumn())
    times = (TimeElapsedColumn(), TimeRemainingColumn())
    with (
        tempfile.TemporaryDirectory(prefix="mp-chaos-", ignore_cleanup_errors=True) as folder,
        Progress(*columns, *times, console=_console) as progress,
    ):
        bar = progress.add_task(order.terrain.name, total=order.faults)

        def show(fault: str, took: float | None) -> None:
            progress.update(bar, advance=took is not None, description=f"{order.terrain.name}: {fault}")
            if took is not None and not _console.is_terminal:
                _console.print(f"{order.terrain.name}: {fault} {took:.1f} s")

        try:
            report = asyncio.run(storm(Path(folder), order, show))
        except PromiseBroken as broken:
            progress.stop()
            traceback.print_exception(broken)
            return None
    _tell(order, report)
    return report.counts


def _tell(order: Order, report: Report) -> None:
    each = report.seconds / max(1, report.faults)
    _console.print(
        f"{order.terrain.name}: {report.faults} faults in {report.seconds:.0f} s ({each:.1f} s each, "
        f"{report.check_seconds:.0f} s to check), {report.commands} commands, {report.events} events, no promise broken"
    )
    _console.print("   count  median  longest")
    for name, took in sorted(report.took.items(), key=lambda item: -len(item[1])):
        _console.print(f"  {len(took):>6} {median(took):>5.1f} s  {max(took):>5.1f} s  {name}")


def blow_inside(order: Order) -> Met | None:
    """The same storm in a process that may mount; the limits alone where no such process can be."""
    if reason := why_not():
        _console.print(f"LEFT OUT: full disks (log, database) need small disks, and none can be made: {reason}")
        return blow(Order(LIMITS, order.faults, order.seed))
    with tempfile.NamedTemporaryFile(prefix="mp-chaos-met-") as told:
        command = [*order.command(order.faults).split()[1:], "--inside", told.name]
        done = subprocess.run([*in_namespace(), sys.executable, *command], check=False)
        return dict(json.load(told)) if done.returncode == 0 else None


def blow_anywhere(order: Order) -> Met | None:
    """One storm, where it can be."""
    if reason := order.terrain.why_not():
        _console.print(f"LEFT OUT: {order.terrain.name}, {order.faults} faults: {reason}")
        return {}
    return blow_inside(order) if order.terrain.disks else blow(order)


def summary(wanted: list[Order], met: list[Met | None]) -> list[str]:
    """Every kind of fault that could come, with how often it came; those that never came first."""
    counts = Counter({name: 0 for order in wanted for name in (fault.__name__ for fault in order.choice)})
    for one in met:
        counts.update(one or {})
    lines = [f"  {count:>6} {name}" for name, count in sorted(counts.items(), key=lambda item: (item[1], item[0]))]
    missed = sum(not count for count in counts.values())
    return [f"{sum(counts.values())} faults of {len(counts)} kinds, {missed} of them not met:", *lines]


def options_of(arguments: list[str]) -> argparse.Namespace:
    """The command line, parsed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faults", type=int, default=500, help="how many in all")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="of the dice; any, if left out")
    parser.add_argument("--terrain", choices=list(TERRAINS), help="this one alone")
    parser.add_argument("--nodes", choices=["1", "3"], help="the terrain with so many NATS nodes alone")
    parser.add_argument("--only", action="append", metavar="FAULT", help="this fault alone (may be repeated)")
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def main() -> int:
    """0 when every promise was kept."""
    options = options_of(sys.argv[1:])
    started = time.monotonic()
    # That connections are lost is the point here.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    wanted = orders(options)
    if options.inside:
        with own_ports():
            (met,) = map(blow, wanted)
        options.inside.write_text(json.dumps(met))
        return 1 if met is None else 0
    _console.print(f"seed {options.seed}")
    with own_ports():
        all_met = [blow_anywhere(order) for order in wanted]
    kept = None not in all_met
    _console.print("\n".join(summary(wanted, all_met)))
    verdict = "every promise was kept" if kept else "A PROMISE WAS BROKEN"
    _console.print(f"seed {options.seed}, {time.monotonic() - started:.0f} s: {verdict}")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
