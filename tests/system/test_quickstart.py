"""The quickstart, typed in one folder as it is written; and what a person types next."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
from mpcli.blueprints import load_blueprint
from mpd.stack import Stack

from tests.support import eventually_sync
from tests.support.terminal import Terminal

WATCH = ("events", "watch", "--workspace", "./my-workspace", "--json")
CREATE = ("project", "create", "--workspace", "./my-workspace", "--name", "core")
SPAWN = ("session", "spawn", "--project", "core", "--blueprint", "./agents/blueprints/reviewer.yaml")


def _types(lines: list[str]) -> list[str]:
    return [json.loads(line)["type"] for line in lines]


def _is_watched(stack: Stack) -> bool:
    """Tell whether somebody listens to the gateway's event streams."""
    metrics = httpx.get(f"{stack.gateways[0].ops_url}/metrics").text
    return 'mp_gateway_streams{transport="sse"} 1.0' in metrics


def test_the_quickstart_works_as_written(tmp_path: Path, stack: Stack) -> None:
    terminal = Terminal(tmp_path, stack.folder)
    made = terminal.mpctl("workspace", "init", "./my-workspace")
    assert made.code == 0, made.err
    with terminal.keep_running(*WATCH) as watch:
        eventually_sync(lambda: _is_watched(stack), timeout=60)
        assert terminal.mpctl(*CREATE).code == 0
        spawned = terminal.mpctl(*SPAWN)
        assert spawned.code == 0, spawned.err
        project, session = (json.loads(line) for line in watch.until(lambda lines: len(lines) == 2))
        assert watch.interrupt() == 0
    assert (project["type"], session["type"]) == ("mp.project.ProjectCreated.v1", "mp.session.SessionSpawned.v1")
    assert session["data"]["project_id"] == project["subject"].removeprefix("project/")
    blueprint = load_blueprint(tmp_path / "my-workspace" / "agents" / "blueprints" / "reviewer.yaml")
    assert session["data"]["blueprint"] == {"name": "reviewer", "version": "1.0.0", "digest": blueprint.digest}
    assert session["data"]["limits"] == {"max_depth": 2, "max_children": 4}


def test_a_watch_goes_on_through_a_killed_gateway(tmp_path: Path, stack: Stack) -> None:
    terminal = Terminal(tmp_path, stack.folder)
    assert terminal.mpctl("workspace", "init", "./my-workspace").code == 0
    with terminal.keep_running(*WATCH, "--from-start") as watch:
        watch.until(lambda lines: len(lines) == 2)
        gateway = stack.process("gateway-1")
        gateway.kill()
        gateway.start()
        assert terminal.mpctl(*CREATE).code == 0
        seen = watch.until(lambda lines: len(lines) >= 3, seconds=40)
        assert watch.interrupt() == 0
    assert [kind.split(".")[2] for kind in _types(seen)] == ["WorkspaceCreated", "RoleBound", "ProjectCreated"]
