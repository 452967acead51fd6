"""A service that is made as the guide says is known to Compose, the chart, `mpd` and doctor, and runs."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.architecture.repository import ROOT
from tests.deploy.rendered import CHART, compose_services, environment, pods, render, values
from tests.deploy.test_compose import fresh_keys

GUIDE = ROOT / "context/guides/new-service.md"
LIST = "libs/mpservice/src/mpservice/services.py"
RUN_SECONDS_MAX = 150
RUN = """
import json, subprocess, sys
from pathlib import Path
from mpd.services import JobProcess, facts_of
from mpd.stack import UNCOUNTED, Stack
from mpservice.rights import PROVISION

folder = Path(sys.argv[1])
stack = Stack(folder, others=dict.fromkeys(UNCOUNTED, 1))
(pulse,) = [service for service in stack.services if service.kind == "pulse"]
stack.nats.start()
try:
    job = JobProcess("mpservice", "provision", stack.log_path("provision"), stack._environment("prepare", PROVISION))
    job.spawn()
    job.finish()
    pulse.start()
    stack._write_files()
    doctor = [str(Path(sys.executable).with_name("mpctl")), "doctor", "--json"]
    seen = subprocess.run(doctor, capture_output=True, text=True, check=False)
    facts = facts_of(pulse.ops_url)
    pulse.ask_to_stop()
    code = pulse.wait(pulse.stop_seconds_max)
finally:
    pulse.kill()
    stack.nats.stop()
print(json.dumps({"facts": facts, "code": code, "doctor": json.loads(seen.stdout), "set": sorted(pulse.environment)}))
"""


def blocks(page: str) -> dict[str, str]:
    """The files that a page shows whole, by their names."""
    return {
        found[1]: found[2]
        for found in re.finditer(r"^`(services/[^`]+)`[^\n]*\n\n```\w+\n(.*?)```\n", page, re.DOTALL | re.MULTILINE)
    }


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The parts of the house that the guide touches, with the service it makes."""
    folder, page = tmp_path_factory.mktemp("house"), GUIDE.read_text()
    shutil.copytree(ROOT / "deploy", folder / "deploy")
    shutil.copytree((ROOT / LIST).parent, (folder / LIST).parent, ignore=shutil.ignore_patterns("__pycache__"))
    for name, text in blocks(page).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    known = (folder / LIST).read_text()
    joined = known.replace('NAMES = ("kernel", ', 'NAMES = ("kernel", "pulse", ')
    assert joined != known
    (folder / LIST).write_text(joined)
    (section,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    chart = folder / CHART.relative_to(ROOT)
    (chart / "values.yaml").write_text(f"{(chart / 'values.yaml').read_text()}\n{section}")
    schema = json.loads((chart / "values.schema.json").read_text())
    schema["properties"]["pulse"] = schema["properties"]["relay"]
    (chart / "values.schema.json").write_text(json.dumps(schema))
    _python(folder, "-m", "mpd.deployments")
    return folder


def _python(folder: Path, *words: str, **variables: str) -> str:
    """Run a program of the house with the new service, and return its output."""
    paths = [str(folder / LIST.partition("/mpservice/services")[0]), str(folder / "services/pulse/src")]
    given = os.environ | {"PYTHONPATH": os.pathsep.join(paths)} | variables
    done = subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env=given,
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS_MAX,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_compose_starts_it_with_its_own_credential(house: Path) -> None:
    services = compose_services(str(house / "deploy/compose/compose.yaml"), **fresh_keys())
    assert services["pulse"]["command"] == ["python", "-m", "mppulse"]
    assert [each["source"] for each in services["pulse"]["secrets"]] == ["nats_pulse"]
    cluster = yaml.safe_load((house / "deploy/compose/compose.cluster.yaml").read_text())
    assert cluster["services"]["pulse"] == cluster["services"]["kernel"]


def test_the_chart_deploys_it_when_asked(house: Path) -> None:
    chart, minimal = house / CHART.relative_to(ROOT), values(CHART / "ci/minimal-values.yaml")
    without = {name for name, _ in pods(render(minimal, chart))}
    found = dict(pods(render(minimal | {"pulse": {"replicas": 1}, "credentialsSecret": "c"}, chart)))
    assert found.keys() - without == {"mp-pulse"}
    (container,) = found["mp-pulse"]["containers"]
    assert container["command"] == ["python", "-m", "mppulse"]
    assert environment(container)["MP_NATS_NKEY_SEED_FILE"] == "/credentials/nats.seed"
    assert "MP_POSTGRES_DSN" not in environment(container)


def test_mpd_runs_it_as_its_own_user_and_doctor_asks_it(house: Path, tmp_path: Path) -> None:
    said = json.loads(_python(house, "-c", RUN, str(tmp_path), MP_HOME=str(tmp_path)))
    assert said["facts"]["ready"], said["facts"]
    assert said["facts"]["nats"] == "ok"
    assert said["code"] == 0
    assert {"MP_NATS_NKEY_SEED_FILE", "MP_OPS_PORT"} <= set(said["set"])
    (line,) = [check for check in said["doctor"]["checks"] if check["name"] == "service pulse-1"]
    assert line["state"] == "ok", line
