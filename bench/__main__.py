"""`python -m bench [ROW ...]`: measure rows beside their baselines, print tables, and keep the figures as JSON."""

import argparse
import signal
import sys
from pathlib import Path

from mpservice import telemetry
from rich.console import Console

from bench.report import LATEST, Row, save, show
from bench.rows import GROUPS, ROWS
from bench.rows.group import Options
from bench.windows import Rhythm

TERMINATED = 128 + signal.SIGTERM


def main() -> int:
    """Parse, measure, tell. The exit code says whether everything was measured, not whether targets were met."""
    arguments = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))  # As on Ctrl-C, servers and folders go first.
    telemetry.configure("bench", level="error", style="console")
    console = Console(width=max(Console().width, 140))
    if arguments.list:
        for name, what in ROWS.items():
            console.print(f"{name:36} {what}", highlight=False)
        return 0
    wanted = frozenset(arguments.rows or ROWS)
    options = Options(arguments.seconds, Rhythm(arguments.rounds, arguments.patience), wanted, arguments.kills)
    rows: list[Row] = []
    try:
        for group in GROUPS:
            if options.wants(*group.rows):
                console.print(
                    f"measuring {', '.join(name for name in group.rows if name in wanted)} …", highlight=False
                )
                rows += [made for made in group.measure(options) if made.name in wanted]
                save(rows, arguments.json)
    finally:
        show(rows, console)
    console.print(f"written to {arguments.json}", highlight=False)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", help="rows to measure (default: all)")
    parser.add_argument("--seconds", type=float, default=4.0, help="length of a window (default: 4)")
    parser.add_argument("--rounds", type=int, default=3, help="windows of each kind, in turn (default: 3)")
    parser.add_argument("--patience", type=float, default=0, help="seconds a round may wait for a quiet machine (0)")
    parser.add_argument("--kills", type=int, default=50, help="leaders taken away for one figure (default: 50)")
    parser.add_argument("--json", type=Path, default=LATEST, help="where rows go (default: bench/results/latest.json)")
    parser.add_argument("--list", action="store_true", help="list the rows")
    arguments = parser.parse_args()
    if unknown := [name for name in arguments.rows if name not in ROWS]:
        parser.error(f"there is no row {', '.join(unknown)}; --list names them all")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
