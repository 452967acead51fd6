"""Every deployment has what the services' descriptors say, and nothing is listed beside them."""

from __future__ import annotations

import json
import tomllib

import pytest
import yaml
from mpcore.access.policy import SYSTEM_COMMANDS
from mpd.deployments import deployments
from mpoperator.doctor.counts import JUDGES
from mpprojector.settings import MigrationSettings
from mpschema.subjects import SYSTEM_PREFIX
from mpservice.services import BY_NAME, DATABASE_ROLES, NAMES, SERVICES
from mpservice.users import nats_users
from mpstore.readmodels.migrations import CONNECTION_SHARES

from tests.architecture.repository import ROOT
from tests.deploy.rendered import CHART, pods, render, values

FULL = values(CHART / "ci/full-values.yaml")


def test_what_deployments_say_of_services_is_as_written() -> None:
    stale = [str(path) for path, text in deployments(ROOT).items() if (ROOT / path).read_text() != text]
    assert stale == [], "run: make docs"


def test_a_folder_of_services_is_a_descriptor_in_the_list() -> None:
    assert {path.parent.name.removeprefix("mp") for path in ROOT.glob("services/*/src/*/spec.py")} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_the_chart_has_values_of_each_service_and_a_shape_for_them(name: str) -> None:
    chosen = yaml.safe_load((CHART / "values.yaml").read_text())[name]
    assert {"replicas", "resources", "extraEnv"} <= set(chosen)
    shape = json.loads((CHART / "values.schema.json").read_text())["properties"][name]
    assert set(shape["properties"]) == set(chosen)
    assert chosen["replicas"] > 0 or BY_NAME[name].optional


def test_the_full_chart_deploys_every_service() -> None:
    deployed = {pod["containers"][0]["name"] for _, pod in pods(render(FULL))}
    assert deployed == {*NAMES, "provision", "migrate"}


def test_whoever_supervises_services_is_installed_with_all_of_them() -> None:
    (found,) = [
        path for path in ROOT.glob("*/*/pyproject.toml") if tomllib.loads(path.read_text())["project"]["name"] == "mpd"
    ]
    assert {service.package for service in SERVICES} <= set(tomllib.loads(found.read_text())["project"]["dependencies"])


def test_the_migration_makes_the_role_of_every_service_and_is_told_its_password() -> None:
    assert set(CONNECTION_SHARES) == set(DATABASE_ROLES)
    told = {role.removeprefix("mp_") for role in DATABASE_ROLES}
    assert {f"{role}_password{end}" for role in told for end in ("", "_file")} <= set(MigrationSettings.model_fields)


def test_tools_judge_by_the_figures_of_services_that_are_there() -> None:
    assert set(JUDGES) <= set(NAMES)


def test_each_service_is_a_user_of_nats_under_its_own_name() -> None:
    assert {user.name for user in nats_users()} == {*NAMES, "operator", "provision", "restore"}


def test_the_services_that_command_are_those_that_the_policy_lets_command() -> None:
    commanding = {f"{SYSTEM_PREFIX}{service.name}" for service in SERVICES if service.nats.commands_as_service}
    assert commanding == set(SYSTEM_COMMANDS)
