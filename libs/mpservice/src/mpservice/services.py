"""Every service's descriptor, by the one list of names: supervisor, deployments, users and tools derive from them."""

from collections.abc import Mapping
from importlib import import_module

from mpservice.spec import ServiceSpec

NAMES = ("kernel", "relay", "projector", "webhooks", "gateway")
"""Every service, in the order of the way of an event: who stops them begins at the end, with those that clients ask."""


def _described(name: str) -> ServiceSpec:
    found = import_module(f"mp{name}.spec").SERVICE
    assert isinstance(found, ServiceSpec)
    assert found.name == name, f"mp{name}.spec describes another service"
    return found


SERVICES: tuple[ServiceSpec, ...] = tuple(_described(name) for name in NAMES)
"""Every service, in that order."""
BY_NAME: Mapping[str, ServiceSpec] = {service.name: service for service in SERVICES}
DATABASE_ROLES: tuple[str, ...] = tuple(service.database_role for service in SERVICES if service.database_role)
"""The roles of PostgreSQL, beside that of the owner."""
