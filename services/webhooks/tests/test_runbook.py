"""The runbook about webhooks does what it says, command by command, with a receiver that checks signatures its way."""

from __future__ import annotations

import json
import os
import re
import secrets
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from mpd.stack import Stack

from services.webhooks.tests.receiver import Receiver, Reply
from tests.support.waiting import eventually_sync
from tools.operator.tests.proving import mpctl
from tools.operator.tests.transcripts import Step, agree, run, steps

PAGE = Path(__file__).parents[3] / "context" / "operations" / "webhooks.md"
READS = re.compile(r"mpctl webhook (parked|deliveries|requeue \w+ --all --dry-run)")
"""Questions: they are asked until the deliveries have come as far as the page says."""


def shown_check() -> Callable[[str, Any, bytes], bool]:
    """The function that the page shows."""
    (code,) = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    found: dict[str, Any] = {}
    exec(code, found)
    return found["is_ours"]  # type: ignore[no-any-return]  # what the page defines


@pytest.fixture
def environment(delivering: Stack, receiver: Receiver, tmp_path: Path) -> dict[str, str]:
    """As the owner of a workspace has it, with a receiver that fails for one task until it is mended."""
    workspace = f"ws-{secrets.token_hex(4)}"
    mpctl("workspace", "create", workspace, "--name", workspace, home=delivering.folder)
    mpctl("project", "create", "core", "--name", "core", "-w", workspace, home=delivering.folder)
    receiver.reply = lambda key, _: Reply(500 if key == "task/bad" and not (tmp_path / "mended").exists() else 204)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MP_", "MPCTL_"))}
    path = os.pathsep.join([str(Path(sys.executable).parent), kept["PATH"]])
    home = {"MP_HOME": str(delivering.folder), "MPCTL_WORKSPACE": workspace, "HOME": str(tmp_path)}
    return kept | home | {"RECEIVER": receiver.url, "PATH": path, "COLUMNS": "200"}


def perform(step: Step, folder: Path, environment: dict[str, str]) -> None:
    """Run a command; it must print what the page shows."""
    printed = run(step.command, folder, environment)
    told = "\n".join([step.command, "shown:", *step.output, "printed:", *printed])
    assert agree(step.output, printed), told


def test_every_command_of_the_runbook_prints_what_the_page_shows(
    environment: dict[str, str], receiver: Receiver, tmp_path: Path
) -> None:
    shown = list(steps(PAGE))
    assert len(shown) >= 13
    for step in shown:
        if READS.match(step.command):
            eventually_sync(partial(perform, step, tmp_path, environment), timeout=30)
        else:
            perform(step, tmp_path, environment)
    secret = json.loads((tmp_path / "answer.json").read_text())["secret"]
    eventually_sync(lambda: len(receiver.heard()) == 6)
    is_ours, heard = shown_check(), receiver.heard()
    assert all(is_ours(secret, request.headers, request.body) for request in heard)
    assert not is_ours(secret, heard[0].headers, heard[1].body)
