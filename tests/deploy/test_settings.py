"""Every environment variable that an installation sets is one that the service reads."""

from __future__ import annotations

from pathlib import Path

import pytest
from mpbus.settings import BusSettings
from mpd.stack import Stack
from mpgateway.settings import GatewaySettings
from mpkernel.settings import KernelSettings
from mpprojector.settings import MigrationSettings, ProjectorSettings
from mpwebhooks.settings import WebhooksSettings
from pydantic_settings import BaseSettings

from tests.deploy.rendered import VALUES_FILES, compose_services, environment, pods, render, values
from tests.deploy.test_compose import fresh_keys

# A migration starts from the environment that all tasks share.
READERS: dict[str, tuple[type[BaseSettings], ...]] = {
    "kernel": (KernelSettings,),
    "relay": (KernelSettings,),
    "projector": (ProjectorSettings,),
    "gateway": (GatewaySettings,),
    "webhooks": (WebhooksSettings,),
    "provision": (BusSettings,),
    "migrate": (MigrationSettings, BusSettings),
}
# Shared by all for simplicity, though some have no use for it.
COMMON = {"MP_REDIS_URL"}
# Passwords are quoted by the connection string that follows them.
QUOTED = {"MP_OWNER_PASSWORD", "MP_PROJECTOR_PASSWORD", "MP_GATEWAY_PASSWORD", "MP_WEBHOOKS_PASSWORD"}


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
    for service in Stack(tmp_path, relays=1, webhooks=1).services:
        assert _unread(service.kind, set(service.environment)) == set(), service.name
