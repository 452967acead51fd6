"""`python -m mpd.deployments`: the parts of Compose and the chart that name services, from their descriptors.

Written are the parts of `deploy/` that name services one by one; the rest is written by hand.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from mpservice.rights import PROVISION
from mpservice.services import DATABASE_ROLES, SERVICES
from mpservice.spec import ServiceSpec

from mpd.keys import SECRET_FILES, SECRETS, password_variable, secret_variable

COMPOSE = Path("deploy/compose/compose.yaml")
CLUSTER = Path("deploy/compose/compose.cluster.yaml")
CHART = Path("deploy/helm/moduprompt/templates/_services.tpl")
BEGIN, END = "# services: begin (make docs)\n", "# services: end\n"
_SECRETS = "/run/secrets"
_FOLDER = "${MP_SECRETS:?run mpd keys --dir first}"
_OPS = {"MP_OPS_HOST": "0.0.0.0", "MP_OPS_PORT": '"8081"'}  # noqa: S104 - inside of a container
_HTTP = {"MP_HTTP_HOST": "0.0.0.0", "MP_HTTP_PORT": '"8080"'}  # noqa: S104 - the same
_CLUSTER_URL = '"nats://nats:4222,nats://nats-2:4222,nats://nats-3:4222"'


def compose_services() -> str:
    """The part of the Compose file about our services, the migration of their roles, and their secrets."""
    blocks = [_migration(), *map(_service, SERVICES)]
    return "\n".join(blocks) + f"\nsecrets:\n{''.join(_secret_lines())}"


def cluster_services() -> str:
    """The part of the Compose file for three nodes of NATS: every service is told of all."""
    first, *others = (service.name for service in SERVICES)
    told = f"  {first}: &follows\n    environment: {{MP_NATS_URL: {_CLUSTER_URL}}}\n"
    return told + "".join(f"  {name}: *follows\n" for name in others)


def chart_services() -> str:
    """The template from which the chart's other templates learn of the services: a line each, as JSON."""
    lines = "".join(f"- {json.dumps(_charted(service))}\n" for service in SERVICES)
    head = "{{- /* Written by `make docs` from the services' descriptors. */ -}}\n"
    return f'{head}{{{{- define "moduprompt.services" -}}}}\n{lines}{{{{- end }}}}\n'


def written(text: str, part: str) -> str:
    """A file with the part between its marks anew. Raises `ValueError` when it has no place for it."""
    before, _, rest = text.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise ValueError(f"the file has no lines {BEGIN!r} and {END!r}")
    return f"{before}{BEGIN}{part}{END}{after}"


def deployments(root: Path) -> dict[Path, str]:
    """The text of every file of `deploy/` that names the services, below a folder."""
    return {
        COMPOSE: written((root / COMPOSE).read_text(), compose_services()),
        CLUSTER: written((root / CLUSTER).read_text(), cluster_services()),
        CHART: chart_services(),
    }


def _service(service: ServiceSpec) -> str:
    lines = [f"  {service.name}:", "    <<: *service"]
    if service.compose_profile:
        lines = [f"  # Started by: docker compose --profile {service.compose_profile}", *lines]
        lines.append(f"    profiles: [{service.compose_profile}]")
    lines += [f"    command: {json.dumps(service.command)}", "    environment:", "      <<: *environment"]
    lines += [f"      {name}: {value}" for name, value in _environment(service).items()]
    lines += [f"    secrets: [{', '.join(_mounted(service))}]"]
    lines += ['    ports: ["127.0.0.1:${MP_PORT:-8080}:8080"]'] if service.http else []
    lines += ["    depends_on: *prepared"]
    lines += [f"    deploy: {{replicas: {service.compose_replicas}}}"] if service.compose_replicas > 1 else []
    lines += [f"    stop_grace_period: {service.stop_seconds}s"] if service.stop_seconds else []
    return "\n".join([*lines, "    healthcheck: *ops-healthcheck", ""])


def _environment(service: ServiceSpec) -> dict[str, str]:
    """The variables of a service in a container, beside those that all have."""
    told = {"MP_NATS_NKEY_SEED_FILE": f"{_SECRETS}/nats_{service.name}"}
    if service.redis:
        told |= {"MP_REDIS_USER": service.name, "MP_REDIS_PASSWORD_FILE": f"{_SECRETS}/redis_{service.name}"}
    if role := service.database_role:
        told["MP_POSTGRES_DSN"] = f"postgresql://{role}@postgres:5432/moduprompt"
        told["MP_POSTGRES_PASSWORD_FILE"] = f"{_SECRETS}/postgres_{role}"
    if service.secrets:
        told["MP_SECRETS_DIR"] = _SECRETS
    told |= {variable: f"{_SECRETS}/{name}" for variable, name in service.secret_files}
    told |= {variable: f"${{{variable}:?run mpd keys --dir first}}" for variable in service.key_hashes}
    told |= {each.variable: each.compose for each in service.settings if each.compose is not None}
    return told | (_HTTP if service.http else {}) | _OPS


def _mounted(service: ServiceSpec) -> list[str]:
    """The secrets that a service's container is given."""
    files = [name for _, name in service.secret_files]
    redis = [f"redis_{service.name}"] if service.redis else []
    postgres = [f"postgres_{service.database_role}"] if service.database_role else []
    return [*service.secrets, *files, f"nats_{service.name}", *redis, *postgres]


def _migration() -> str:
    roles = [f"postgres_{role}" for role in ("mp_owner", *DATABASE_ROLES)]
    passwords = "".join(
        f"      {password_variable(role)}_FILE: {_SECRETS}/postgres_{role}\n" for role in DATABASE_ROLES
    )
    return f"""  migrate:
    <<: *service
    command: ["python", "-m", "mpprojector", "migrate"]
    environment:
      <<: *environment
      MP_POSTGRES_OWNER_DSN: postgresql://mp_owner@postgres:5432/moduprompt
      MP_POSTGRES_OWNER_PASSWORD_FILE: {_SECRETS}/postgres_mp_owner
{passwords}    secrets: [{", ".join(roles)}]
    depends_on: {{postgres: {{condition: service_healthy}}}}
    restart: on-failure
"""


def _secret_lines() -> Iterator[str]:
    for name in (*SECRETS, *SECRET_FILES):
        yield _secret_line(name, name)
    for user in (*(service.name for service in SERVICES), PROVISION):
        yield _secret_line(f"nats_{user}", f"nats_{user}.seed")
    for name in (f"redis_{service.name}" for service in SERVICES if service.redis):
        yield _secret_line(name, name)
    for name in (f"postgres_{role}" for role in ("mp_owner", *DATABASE_ROLES)):
        yield _secret_line(name, name)


def _secret_line(name: str, file: str) -> str:
    return f'  {name}: {{file: "{_FOLDER}/{file}"}}\n'


def _charted(service: ServiceSpec) -> Mapping[str, object]:
    """The facts of a service that the chart's templates ask for."""
    return {
        "name": service.name,
        "package": service.package,
        "redis": bool(service.redis),
        "role": service.database_role,
        "password": password_variable(service.database_role) if service.database_role else "",
        "folder": bool(service.secrets),
        "items": [
            {"key": secret_variable(name), "path": name}
            for name in (*service.secrets, *(file for _, file in service.secret_files))
        ],
        "files": [{"variable": variable, "path": name} for variable, name in service.secret_files],
        "hashes": list(service.key_hashes),
        "http": service.http,
        "reaches": list(service.reaches),
        "settings": [{"variable": each.variable, "value": each.chart} for each in service.settings if each.chart],
        "optional": service.optional,
    }


def main() -> int:
    """Write the files anew, below the present folder."""
    root = Path()
    for path, text in deployments(root).items():
        if not (root / path).exists() or (root / path).read_text() != text:
            (root / path).write_text(text)
            sys.stdout.write(f"wrote: {path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
