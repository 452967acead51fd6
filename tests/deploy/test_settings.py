"""Every environment variable that an installation sets is one that the service reads."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import cast

import pytest
from mpd.keys import password_variable
from mpd.stack import UNCOUNTED, Stack
from mpgateway.settings import GatewaySettings
from mpkernel.settings import KernelSettings
from mpoperator.site.settings import OperatorSettings
from mpprojector.settings import MigrationSettings, ProjectorSettings
from mpservice.services import DATABASE_ROLES, NAMES
from mpservice.settings import BusSettings, OpsSettings, PostgresSettings, ProvisionSettings, RedisSettings
from mpwebhooks.settings import WebhooksSettings
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from tests.deploy.rendered import VALUES_FILES, compose_services, environment, pods, render, values
from tests.deploy.test_compose import fresh_keys


def _settings_of(name: str) -> type[BaseSettings]:
    """The settings of a service: `WebhooksSettings` in `mpwebhooks.settings`."""
    found = getattr(import_module(f"mp{name}.settings"), f"{name.capitalize()}Settings")
    assert issubclass(found, BaseSettings)
    return cast(type[BaseSettings], found)


# Migration and provision start from the environment that all tasks share.
READERS: dict[str, tuple[type[BaseSettings], ...]] = {
    **{name: (_settings_of(name),) for name in NAMES},
    "provision": (ProvisionSettings, BusSettings),
    "migrate": (MigrationSettings, BusSettings),
}
# Shared by all for simplicity, though some have no use for it.
COMMON = {"MP_REDIS_URL"}
# Passwords are quoted by the connection string that follows them.
QUOTED = {password_variable(role) for role in ("mp_owner", *DATABASE_ROLES)}


def _unread(service: str, variables: set[str]) -> set[str]:
    read = {f"MP_{field.upper()}" for reader in READERS[service] for field in reader.model_fields}
    return {name for name in variables if name.startswith("MP_")} - read - COMMON - QUOTED


@pytest.mark.parametrize("path", VALUES_FILES, ids=lambda path: path.stem)
def test_the_chart_sets_what_services_read(path: Path) -> None:
    for _, pod in pods(render(values(path))):
        container = pod["containers"][0]
        assert _unread(container["name"], set(environment(container))) == set(), container["name"]


def test_compose_sets_what_services_read() -> None:
    for name, service in compose_services("compose.yaml", **fresh_keys()).items():
        if name in READERS:
            assert _unread(name, set(service["environment"])) == set(), name


def test_mpd_sets_what_services_read(tmp_path: Path) -> None:
    stack = Stack(tmp_path, relays=1, webhooks=1, others=dict.fromkeys(UNCOUNTED, 1))
    assert [service.kind for service in stack.services] == list(NAMES)
    for service in stack.services:
        assert _unread(service.kind, set(service.environment)) == set(), service.name


SHARED = (OpsSettings, RedisSettings, PostgresSettings)
PAGE = Path(__file__).parents[2] / "context" / "operations" / "settings.md"
SECTIONS: dict[str, type[BaseSettings]] = {
    "Every service": OpsSettings,
    "Who makes streams": ProvisionSettings,
    "Redis": RedisSettings,
    "PostgreSQL": PostgresSettings,
    "Kernel": KernelSettings,
    "Projector": ProjectorSettings,
    "Gateway": GatewaySettings,
    "Webhooks": WebhooksSettings,
    "Migration": MigrationSettings,
    "mpctl for operators": OperatorSettings,
}


def rows(section: str) -> list[str]:
    """Return the rows of a section's table: the settings of its service that it does not share."""
    model = SECTIONS[section]
    shared = {row for base in SHARED if base is not model for row in map(_row, *_fields(base))}
    return [row for row in map(_row, *_fields(model)) if row not in shared]


def _fields(model: type[BaseSettings]) -> tuple[list[str], list[FieldInfo]]:
    return list(model.model_fields), list(model.model_fields.values())


def _row(name: str, field: FieldInfo) -> str:
    if field.is_required():
        shown = "must be set"
    elif field.default_factory is not None or field.default in (None, "", ()):
        shown = ""
    else:
        value = field.default
        shown = f"`{','.join(value) if isinstance(value, tuple) else json.dumps(value).strip(chr(34))}`"
    return f"| `MP_{name.upper()}` | {shown} | {field.description} |"


@pytest.mark.parametrize("section", SECTIONS)
def test_the_page_has_every_setting_as_it_is(section: str) -> None:
    page = PAGE.read_text().partition(f"## {section}\n")[2].partition("\n## ")[0]
    found = [line for line in page.splitlines() if line.startswith("| `MP_")]
    assert found == rows(section), "\n".join(["the table should be:", *rows(section)])


STARTS: dict[str, tuple[dict[str, str], str]] = {
    "mpkernel": ({"MP_LOG_LEVEL": "verbose"}, "MP_LOG_LEVEL: Input should be 'debug', 'info', 'warning' or 'error'"),
    "mprelay": ({"MP_LOG_FORMAT": "xml"}, "MP_LOG_FORMAT: Input should be 'json' or 'console'"),
    "mprelay --rebuild": ({"MP_REPLICAS": "6"}, "MP_REPLICAS: Input should be less than or equal to 5"),
    "mpservice provision": (
        {"MP_NATS_USER": "me"},
        "MP_NATS_USER needs MP_NATS_PASSWORD_FILE, the file with its password",
    ),
    "mpprojector": ({}, "MP_POSTGRES_DSN: Field required"),
    "mpprojector migrate": (
        {"MP_POSTGRES_OWNER_DSN": "host=h password=hush"},
        "MP_POSTGRES_OWNER_DSN: write an address",
    ),
    "mpwebhooks": ({"MP_NATS_PASSWORD_FILE": "p"}, "MP_NATS_PASSWORD_FILE needs MP_NATS_USER"),
    "mpgateway": ({"MP_REDIS_TLS_CA_FILE": "ca.pem"}, "MP_REDIS_TLS_CA_FILE needs TLS: write MP_REDIS_URL with rediss"),
}


@pytest.mark.parametrize("program", STARTS)
def test_a_value_that_does_not_fit_ends_the_start_with_a_sentence(program: str, tmp_path: Path) -> None:
    given, said = STARTS[program]
    if program in ("mpgateway", "mpwebhooks"):
        given = {"MP_POSTGRES_DSN": "postgresql://u:hush@h/d", "MP_SECRETS_DIR": str(tmp_path), **given}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MP_")}
    command = [sys.executable, "-m", *program.split()]
    done = subprocess.run(command, env=kept | given, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, "Traceback" in done.stderr, "hush" in done.stderr) == (2, False, False), done.stderr
    assert f"settings: {said}" in done.stderr


def test_no_service_reads_a_variable_that_the_page_does_not_have() -> None:
    root = Path(__file__).parents[2]
    read = set[str]()
    for path in [path for top in ("libs", "services", "tools") for path in root.glob(f"{top}/*/src/**/*.py")]:
        read |= set(re.findall(r"environ(?:ment)?(?:\.get\(|\[)\"(MP_[A-Z_]+)\"", path.read_text()))
    assert "MP_HOME" in read
    page = PAGE.read_text()
    assert [name for name in sorted(read) if f"`{name}`" not in page] == []
