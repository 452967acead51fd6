"""A line of `mpctl` typed inside of this process: for what needs no server, and is asked many times."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog
from click.testing import CliRunner
from mpctl.main import build


@dataclass(frozen=True)
class TypedHere:
    """The end of a line that was typed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Its answer."""
        return json.loads(self.out)


def typed(*words: str | Path) -> TypedHere:
    """Type a line. Anything but a planned end is raised."""
    done = CliRunner().invoke(build(), [str(word) for word in words], prog_name="mpctl")
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return TypedHere(done.exit_code, done.stdout, done.stderr)


@contextmanager
def logging_kept() -> Iterator[None]:
    """Give back how services log: a tool mutes it for its whole process."""
    before = structlog.get_config()
    try:
        yield
    finally:
        structlog.configure(**before)


def forget_servers(patch: pytest.MonkeyPatch, home: Path) -> None:
    """Let this process know of no server: an empty home, and no setting of ours."""
    for name in [name for name in os.environ if name.startswith(("MP_", "MPCTL_"))]:
        patch.delenv(name)
    patch.setenv("MP_HOME", str(home))
    patch.setenv("HOME", str(home))
