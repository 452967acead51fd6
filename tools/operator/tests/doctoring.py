"""An installation that is broken on purpose, and what the doctor finds."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import asyncpg
import msgspec
from mpd.stack import Stack
from mpoperator.doctor.examination import examine
from mpoperator.doctor.lines import line_of
from mpoperator.doctor.report import DoctorCheck, State
from mpoperator.site.settings import read_settings

from tests.support.administration import administrator_url
from tests.support.terminal import PROGRAM
from tools.operator.tests.advice import must_parse
from tools.operator.tests.proving import on_bus

HEALTHY, SICK = 0, 1


@dataclass(frozen=True)
class Examined:
    """A finished run of `mpctl doctor`."""

    code: int
    checks: dict[str, DoctorCheck]

    @property
    def problems(self) -> dict[str, DoctorCheck]:
        """The checks that found a problem, by name."""
        return {name: check for name, check in self.checks.items() if check.state is State.PROBLEM}


def examined(code: int, report: dict[str, Any]) -> Examined:
    """A report as it was told."""
    assert report["healthy"] is (code == HEALTHY)
    assert [check["name"] for check in report["checks"] if line_of(check["name"]) is None] == []
    for check in report["checks"]:
        must_parse(check.get("mend", ""))
    return Examined(code, {check["name"]: msgspec.convert(check, DoctorCheck) for check in report["checks"]})


def examined_with(environment: dict[str, str]) -> Examined:
    """Return the findings of `mpctl doctor` in an environment. No process is started: that takes time."""
    with patch.dict(os.environ, environment, clear=True):
        report = asyncio.run(examine(read_settings(), strict=False))
    return examined(report.ending, msgspec.to_builtins(report))


@dataclass(frozen=True)
class Patient:
    """A running stack, and ways to look at it, break it and mend it."""

    stack: Stack

    def examine(self, **settings: str) -> Examined:
        """Return the findings of `mpctl doctor`. No process is started: that takes time."""
        return examined_with(self.environment | settings)

    def run(self, *options: str, **settings: str) -> Examined:
        """Run `mpctl doctor --json`. It exits with 1 if, and only if, it tells a problem."""
        done = subprocess.run(
            [PROGRAM, "doctor", "--json", *options],
            env=self.environment | settings, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode in (HEALTHY, SICK), done.stderr
        return examined(done.returncode, json.loads(done.stdout))

    @property
    def environment(self) -> dict[str, str]:
        """As an operator's shell has it on a machine with mpd: our programs, and where the data is."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("MP_")}
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        return kept | {"MP_HOME": str(self.stack.folder), "PATH": path}

    def type(self, command: str) -> None:
        """Type the command that mends, as it was given."""
        done = subprocess.run(
            ["bash", "-c", command], env=self.environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"

    def sql(self, statement: str) -> Any:
        """As the owner of the tables."""

        async def run() -> Any:
            connection = await asyncpg.connect(self.stack.postgres.dsn())
            try:
                return await connection.fetch(statement)
            finally:
                await connection.close()

        return asyncio.run(run())

    def bus(self, action: Callable[[Any], Any]) -> Any:
        """With a connection of one's own."""
        return on_bus(administrator_url(self.stack), action)
