"""The chart as a cluster would get it, and the Compose file as Docker would."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import helm_python
import yaml

from tests.architecture.repository import ROOT

CHART = ROOT / "deploy/helm/moduprompt"
COMPOSE = ROOT / "deploy/compose"
VALUES_FILES = sorted(CHART.glob("ci/*-values.yaml"))

Json = dict[str, Any]


def values(path: Path) -> Json:
    """A file of values."""
    return dict(yaml.safe_load(path.read_text()))


def render(chart_values: Json, chart: Path = CHART) -> list[Json]:
    """Every object of the chart under these values. Raises HelmError where the chart refuses them."""
    files = helm_python.Chart.load(chart).render(chart_values, name="mp", namespace="agents", revision=2)
    texts = [text for name, text in files.items() if name.endswith(".yaml")]
    return [document for text in texts for document in yaml.safe_load_all(text) if document]


def pods(objects: list[Json]) -> Iterator[tuple[str, Json]]:
    """The pod specification of every workload, by its name."""
    for item in objects:
        if item["kind"] in {"Deployment", "Job"}:
            yield item["metadata"]["name"], item["spec"]["template"]["spec"]


def environment(container: Json) -> dict[str, str | None]:
    """The environment of a container; None for a value from elsewhere."""
    return {entry["name"]: entry.get("value") for entry in container.get("env", [])}


def compose(*files: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """`docker compose config` on files of deploy/compose with only these variables."""
    command = ["docker-compose", "--env-file", os.devnull]
    for file in files:
        command += ["-f", str(COMPOSE / file)]
    environ = {"PATH": os.environ["PATH"], "HOME": os.devnull} | variables
    program = str(Path(sys.executable).parent / command[0])
    return subprocess.run(
        [program, *command[1:], "config", "--format", "json"], env=environ, capture_output=True, text=True, check=False
    )


def compose_services(*files: str, **variables: str) -> Json:
    """The services of a valid Compose configuration."""
    done = compose(*files, **variables)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout)["services"])
