"""Rows: what was measured beside what, as a table for people and as JSON for everything else."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path
from typing import Literal

import msgspec
from rich import box
from rich.console import Console
from rich.table import Table

from bench.windows import Samples

LATEST = Path(__file__).parent / "results" / "latest.json"


class Baseline(msgspec.Struct, kw_only=True):
    """The value a figure is compared with, measured in the same run."""

    name: str
    value: float


class Target(msgspec.Struct, kw_only=True, frozen=True):
    """The bound a row must reach."""

    what: Literal["ratio", "value"]
    least: float | None = None
    most: float | None = None

    def __str__(self) -> str:
        bound = f"≥ {self.least:,g}" if self.least is not None else f"≤ {self.most:,g}"
        return f"{self.what} {bound}"

    def met(self, value: float, ratio: float) -> bool:
        """Tell whether a measured row reaches it."""
        figure = ratio if self.what == "ratio" else value
        return (self.least is None or figure >= self.least) and (self.most is None or figure <= self.most)


class Row(msgspec.Struct, kw_only=True):
    """One measured figure. `rounds` are the single windows behind the median, `cpu_us` is per counted thing.

    `cpu_ratio` is how many times the processor time of ours the baseline spent on one: the figure that does not depend
    on what else the machine did.
    `others_cores` tells how many of the machine's cores were busy with something else meanwhile.
    """

    name: str
    value: float
    unit: str
    baseline: Baseline
    ratio: float
    target: str = ""
    met: bool | None = None
    p50_ms: float | None = None
    p99_ms: float | None = None
    baseline_p50_ms: float | None = None
    baseline_p99_ms: float | None = None
    cpu_us: dict[str, float] = {}
    baseline_cpu_us: dict[str, float] = {}
    cpu_ratio: float | None = None
    rounds: list[float] = []
    baseline_rounds: list[float] = []
    others_cores: float = 0.0
    details: dict[str, float] = {}
    load_average: float = 0.0
    measured_at: str = ""


def row(
    name: str,
    value: float,
    unit: str,
    baseline: Baseline,
    *,
    target: Target | None = None,
    details: dict[str, float] | None = None,
) -> Row:
    """A row from two figures, stamped with time and load average."""
    ratio = value / baseline.value
    return Row(
        name=name,
        value=round(value, 3),
        unit=unit,
        baseline=Baseline(name=baseline.name, value=round(baseline.value, 3)),
        ratio=round(ratio, 3),
        target=str(target) if target else "",
        met=target.met(value, ratio) if target else None,
        details=details or {},
        load_average=round(os.getloadavg()[0], 2),
        measured_at=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
    )


def rate_row(name: str, unit: str, ours: Samples, baseline: Samples, target: Target | None = None) -> Row:
    """A row that compares the rates of two lanes."""
    made = row(name, ours.per_second, unit, Baseline(name=baseline.name, value=baseline.per_second), target=target)
    return with_samples(made, ours, baseline)


def with_samples(made: Row, ours: Samples, baseline: Samples) -> Row:
    """The row, with latencies, processor time and single windows of its two lanes."""
    made.p50_ms, made.p99_ms = _ms(ours.p50_ms), _ms(ours.p99_ms)
    made.baseline_p50_ms, made.baseline_p99_ms = _ms(baseline.p50_ms), _ms(baseline.p99_ms)
    made.cpu_us, made.baseline_cpu_us = ours.cpu_us, baseline.cpu_us
    made.cpu_ratio = _cpu_ratio(ours, baseline)
    made.rounds, made.baseline_rounds = ours.rates, baseline.rates
    others = [*ours.others_cores, *baseline.others_cores]
    made.others_cores = round(sum(others) / len(others), 2)
    return made


def _cpu_ratio(ours: Samples, baseline: Samples) -> float | None:
    mine, theirs = sum(ours.cpu_us.values()), sum(baseline.cpu_us.values())
    return round(theirs / mine, 3) if mine and theirs else None


def _ms(value: float) -> float | None:
    return round(value, 3) if value else None


def show(rows: list[Row], console: Console) -> None:
    """Print the rows as tables: figures first, then what stands behind them."""
    figures = _table("Figures", "row", ">value", "unit", "baseline", ">of it", ">ratio", "target")
    behind = _table(
        "Behind them",
        "row",
        ">p50 / p99 ms",
        ">baseline's",
        "cpu µs each",
        "baseline's",
        ">ratio of cpu",
        ">others' cores",
    )
    for made in rows:
        mark = "" if made.met is None else (" ✓" if made.met else " ✗")
        baseline = made.baseline
        ratio = f"{made.ratio:,.2f}"
        figures.add_row(
            made.name, _figure(made.value), made.unit, baseline.name, _figure(baseline.value), ratio, made.target + mark
        )
        behind.add_row(
            made.name,
            _pair(made.p50_ms, made.p99_ms),
            _pair(made.baseline_p50_ms, made.baseline_p99_ms),
            _shares(made.cpu_us),
            _shares(made.baseline_cpu_us),
            "" if made.cpu_ratio is None else f"{made.cpu_ratio:.2f}",
            f"{made.others_cores:.2f}",
        )
    console.print(figures)
    console.print(behind)
    for made in rows:
        if made.details:
            told = ", ".join(f"{name.replace('_', ' ')} {_figure(value)}" for name, value in made.details.items())
            console.print(f"[bold]{made.name}[/]: {told}", highlight=False)


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column.removeprefix(">"), justify="right" if column.startswith(">") else "left")
    return table


def _figure(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.2f}"


def _pair(p50_ms: float | None, p99_ms: float | None) -> str:
    return "" if p50_ms is None or p99_ms is None else f"{p50_ms:.2f} / {p99_ms:.1f}"


def _shares(cpu_us: dict[str, float]) -> str:
    return ", ".join(f"{name} {used:g}" for name, used in cpu_us.items())


def save(rows: list[Row], path: Path) -> None:
    """Write the rows; rows of earlier runs that were not measured anew stay, each with its own time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = {made.name: made for made in msgspec.json.decode(path.read_bytes(), type=list[Row])} if path.exists() else {}
    kept |= {made.name: made for made in rows}
    path.write_bytes(msgspec.json.format(msgspec.json.encode(list(kept.values())), indent=2) + b"\n")
