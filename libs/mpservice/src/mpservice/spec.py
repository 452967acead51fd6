"""The descriptor of a service: all that deployments, supervisor and tools must know of it.

Each service has one, in its `spec.py`, as `SERVICE`. `mpservice.services` joins them.
"""

from dataclasses import dataclass
from typing import Literal

from mpservice.rights import NatsRights

Scaling = Literal["leader", "workers", "replicas", "single"]
"""The way in which several processes share: one leads, leases share the work, all serve, or there is one."""
Reach = Literal["endpoints", "identity"]
"""The places outside of the cluster that a service connects to: clients' endpoints, or the identity provider."""


@dataclass(frozen=True)
class DeployedSetting:
    """An environment variable beside what all services have: the source of its value in each form of deployment."""

    variable: str
    compose: str | None = None
    """The text in the Compose file, `${…}` for what its user may set; None where it is not set."""
    chart: str = ""
    """The path of the chart's value, with dots; empty where it is not set."""
    machine: str | None = None
    """The value under `mpd`; None where it is not set."""


@dataclass(frozen=True)
class ServiceSpec:
    """One service. Its package is `mp{name}`, its program `python -m mp{name}`."""

    name: str
    nats: NatsRights
    facts: tuple[str, ...]
    """The facts of `/readyz` that are `ok`, or say what is wrong with something that it needs."""
    scaling: Scaling
    redis: str = ""
    """The rule of its user of Redis; empty where it does without."""
    database_role: str = ""
    """The role of PostgreSQL that it connects as; empty where it does without."""
    secrets: tuple[str, ...] = ()
    """The files that it reads in the folder MP_SECRETS_DIR."""
    secret_files: tuple[tuple[str, str], ...] = ()
    """Variables that name a file with a secret, and the file."""
    key_hashes: tuple[str, ...] = ()
    """Variables whose values `mpd keys` makes."""
    http: bool = False
    """True where clients reach it, on MP_HTTP_PORT."""
    reaches: tuple[Reach, ...] = ()
    settings: tuple[DeployedSetting, ...] = ()
    optional: bool = False
    """True where an installation may do without: the chart takes no replicas."""
    compose_replicas: int = 1
    compose_profile: str = ""
    """The profile of Compose that starts it; empty: it is always started."""
    stop_seconds: int = 0
    """Time that Compose gives it to end; 0: as much as Compose gives anybody."""

    @property
    def package(self) -> str:
        """The package that `python -m` runs."""
        return f"mp{self.name}"

    @property
    def command(self) -> tuple[str, ...]:
        """The words of its program."""
        return ("python", "-m", self.package)
