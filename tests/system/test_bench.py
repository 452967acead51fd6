"""The benchmarks run, one row at a time by name, and say what they measured beside what."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest

from tests.architecture.repository import ROOT

ROW_FIELDS = {"name", "value", "unit", "baseline", "ratio"}


async def bench(*arguments: str) -> tuple[int | None, str]:
    """`python -m bench` with arguments: its exit code and what it printed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bench",
        *arguments,
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    printed, _ = await process.communicate()
    return process.returncode, printed.decode()


@pytest.mark.parametrize(
    ("row", "unit", "baseline"),
    [
        ("commands_nats_1", "commands/s", "postgres_occ"),
        ("memory_per_100k_aggregates", "MiB", "log_bytes"),
        ("hand_over_p99_ms", "ms", "allowed pause"),
    ],
)
async def test_a_row_is_measured_alone_by_its_name(tmp_path: Path, row: str, unit: str, baseline: str) -> None:
    results = tmp_path / "results.json"
    code, printed = await bench(row, "--seconds", "0.2", "--rounds", "1", "--kills", "2", "--json", str(results))
    assert code == 0, printed
    (made,) = json.loads(results.read_text())
    assert made.keys() >= ROW_FIELDS
    assert (made["name"], made["unit"], made["baseline"]["name"]) == (row, unit, baseline)
    assert made["value"] > 0
    assert made["ratio"] == pytest.approx(made["value"] / made["baseline"]["value"], rel=0.01, abs=0.001)
    assert made["ratio"] > 0
    assert row in printed


async def test_every_row_is_listed_and_an_unknown_one_is_refused() -> None:
    code, printed = await bench("--list")
    assert code == 0
    assert {"commands_nats_64", "projection_catch_up", "replay", "sse_fan_out_1000"} <= set(printed.split())
    code, printed = await bench("no_such_row")
    assert code == 2
    assert "there is no row no_such_row" in printed
