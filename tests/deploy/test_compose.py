"""The Compose files are valid, refuse to run without secrets, and the image is built as its linter likes it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from mpd.containers import write_installation
from mpd.servers import wheels
from mpservice.services import DATABASE_ROLES, NAMES, SERVICES
from mpservice.users import nats_users

from tests.architecture.repository import ROOT
from tests.deploy.rendered import COMPOSE, compose, compose_services

BIN = Path(sys.executable).parent


def fresh_keys() -> dict[str, str]:
    """The variables that `mpd keys --dir` writes."""
    with tempfile.TemporaryDirectory() as folder:
        lines = write_installation(Path(folder)).read_text().splitlines()
    return dict(line.split("=", 1) for line in lines)


def test_it_refuses_to_run_without_secrets_and_says_how_to_make_them() -> None:
    done = compose("compose.yaml")
    assert done.returncode != 0
    assert "run mpd keys --dir first" in done.stderr


def test_the_keys_of_mpd_are_all_it_needs() -> None:
    services = compose_services("compose.yaml", **fresh_keys())
    started = {service.name for service in SERVICES if not service.compose_profile}
    assert set(services) == {"nats", "postgres", "valkey", "provision", "migrate"} | started
    assert services["kernel"]["deploy"]["replicas"] == 2


def test_no_password_stands_in_the_environment_of_a_container() -> None:
    """Whoever may list containers reads their environment."""
    with tempfile.TemporaryDirectory() as folder:
        lines = write_installation(Path(folder)).read_text().splitlines()
        secrets = {path.read_text().strip() for path in Path(folder).glob("postgres_*")}
    services = compose_services("compose.yaml", **dict(line.split("=", 1) for line in lines), COMPOSE_PROFILES="feed")
    assert len(secrets) == len(DATABASE_ROLES) + 1
    assert [name for name, service in services.items() if any(each in str(service) for each in secrets)] == []
    for name, service in services.items():
        named = {Path(value).name for key, value in (service.get("environment") or {}).items() if "PASSWORD" in key}
        assert named <= {each["source"] for each in service.get("secrets") or []}, name


def test_every_lasting_service_has_a_healthcheck_and_our_own_are_locked_down() -> None:
    services = compose_services("compose.yaml", **fresh_keys(), COMPOSE_PROFILES="feed")
    for name in services.keys() - {"provision", "migrate"}:
        assert "healthcheck" in services[name], name
    for name in ("provision", "migrate", *NAMES):
        assert services[name]["read_only"], name
        assert services[name]["cap_drop"] == ["ALL"], name
        assert services[name]["tmpfs"] == "/tmp" or services[name]["tmpfs"] == ["/tmp"], name
        assert all(volume.get("read_only") for volume in services[name].get("volumes") or []), name


def test_the_cluster_has_three_nodes_and_three_copies() -> None:
    services = compose_services("compose.yaml", "compose.cluster.yaml", **fresh_keys())
    assert {"nats", "nats-2", "nats-3"} <= set(services)
    assert services["provision"]["environment"]["MP_REPLICAS"] == "3"
    assert services["kernel"]["environment"]["MP_NATS_URL"].count("nats://") == 3
    assert services["nats"]["command"] == ["-c", "/etc/nats/nats-cluster.conf"]


def test_the_dockerfile_passes_its_linter() -> None:
    command = [str(BIN / "hadolint"), str(ROOT / "Dockerfile")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_nats_and_valkey_let_in_who_has_a_credential_and_nobody_else(tmp_path: Path) -> None:
    """The shipped configuration, beside the secrets that `mpd keys` makes, by the real servers."""
    write_installation(tmp_path)
    for name in ("nats.conf", "nats-cluster.conf"):
        shutil.copy(COMPOSE / name, tmp_path)
    environment = os.environ | {"NATS_NAME": "nats"}
    for name in ("nats.conf", "nats-cluster.conf"):
        command = [str(wheels.nats_server()), "-t", "-c", str(tmp_path / name)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
    users = (tmp_path / "nats_users.conf").read_text()
    assert [users.count(f'subscribe: {{ allow: ["_INBOX.{user.name}.>"') for user in nats_users()] == [1] * len(
        nats_users()
    )
    assert "authorization" in (tmp_path / "nats_cluster.conf").read_text()
    assert (tmp_path / "redis_users.acl").read_text().startswith("user default off\n")


def test_each_service_is_handed_its_own_credential(tmp_path: Path) -> None:
    variables = dict(line.split("=", 1) for line in write_installation(tmp_path).read_text().splitlines())
    services = compose_services("compose.yaml", **variables, COMPOSE_PROFILES="feed")
    for name, service in services.items():
        seeds = {each["source"] for each in service.get("secrets", []) if each["source"].startswith("nats_")}
        assert seeds == ({f"nats_{name}"} if "MP_NATS_NKEY_SEED_FILE" in service.get("environment", {}) else set())
    assert sum("MP_NATS_NKEY_SEED_FILE" in each.get("environment", {}) for each in services.values()) == len(NAMES) + 1
