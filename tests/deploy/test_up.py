"""`docker-compose up` on the shipped files: the real program makes and starts every container of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from mpd.cli import main
from mpd.containers import IMAGE_USER
from mpservice.services import NAMES

from tests.architecture.repository import ROOT
from tests.deploy.engine import Container, Engine, engine
from tests.deploy.rendered import COMPOSE

TASKS = frozenset({"provision", "migrate"})
OURS = {*NAMES, *TASKS}
UP_SECONDS_MAX = 120


def _up(folder: Path, *files: str, options: tuple[str, ...] = ()) -> Engine:
    """Make the secrets by `mpd keys --dir`, and bring everything up on an engine of our own."""
    made = CliRunner().invoke(main, ["keys", "--dir", str(folder / "secrets")])
    assert made.exit_code == 0, made.output
    command = [str(Path(sys.executable).parent / "docker-compose"), "--env-file", str(folder / "secrets/compose.env")]
    for file in files:
        command += ["-f", str(COMPOSE / file)]
    with engine(folder, tasks=TASKS) as (containers, address):
        environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "DOCKER_HOST": address}
        command += [*options, "up", "--detach", "--no-build"]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=UP_SECONDS_MAX, check=False
        )
        assert (done.returncode, containers.unknown) == (0, []), done.stderr
        return containers


def _may_read(container: Container, source: Path) -> bool:
    """Tell whether a container's user may read a file of its owner alone."""
    uid = int(container.body["User"].split(":")[0])
    return source.stat().st_uid == uid and source.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("files", [["compose.yaml"], ["compose.yaml", "compose.cluster.yaml"]])
def test_everything_comes_up_and_reads_its_secrets(tmp_path: Path, files: list[str]) -> None:
    made = _up(tmp_path, *files, options=("--profile", "feed"))
    assert all(container.started for container in made.containers.values())
    services = {container.service for container in made.containers.values()}
    assert services >= OURS | {"nats", "postgres", "valkey"}
    assert len(made.made("kernel")) == 2
    for container in made.containers.values():
        if container.service in OURS:
            assert container.host["ReadonlyRootfs"], container.name
            sources = [Path(mount["Source"]) for mount in container.host.get("Mounts") or []]
            assert all(_may_read(container, source) for source in sources), container.name


def test_secrets_are_made_once_and_nobody_of_ours_runs_as_root(tmp_path: Path) -> None:
    before = {path: path.read_text() for path in _secrets(tmp_path)}
    assert {path: path.read_text() for path in _secrets(tmp_path)} == before
    variables = dict(line.split("=", 1) for line in (tmp_path / "compose.env").read_text().splitlines())
    assert variables["MP_USER"].split(":")[0] == str(os.geteuid() or IMAGE_USER[0])


def test_the_user_of_the_image_is_the_one_that_secrets_are_made_for() -> None:
    assert f"USER {IMAGE_USER[0]}:{IMAGE_USER[1]}" in (ROOT / "Dockerfile").read_text().splitlines()


def _secrets(folder: Path) -> list[Path]:
    assert CliRunner().invoke(main, ["keys", "--dir", str(folder)]).exit_code == 0
    return sorted(path for path in folder.iterdir() if path.is_file())
