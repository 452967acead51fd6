"""`python -m mpprojector` folds the log until it is told to stop; `python -m mpprojector migrate` makes its tables."""

import asyncio
import sys

import asyncpg
from pydantic import ValidationError

from mpprojector import main as composition
from mpprojector.adapters.migrations import SchemaMismatch, migrate
from mpprojector.settings import MigrationSettings, ProjectorSettings

USAGE = "usage: python -m mpprojector [migrate]\n"


def main(arguments: list[str]) -> int:
    """Exit code: 0 when done, 1 when the world refused, 2 for wrong usage or settings."""
    try:
        match arguments:
            case []:
                return composition.run(ProjectorSettings())
            case ["migrate"]:
                return _migrate(MigrationSettings())
            case _:
                sys.stderr.write(USAGE)
                return 2
    except ValidationError as error:
        sys.stderr.write(f"settings: {error}\n")
        return 2


def _migrate(settings: MigrationSettings) -> int:
    projector, gateway, webhooks = (
        password.get_secret_value() if password else None
        for password in (settings.projector_password, settings.gateway_password, settings.webhooks_password)
    )
    try:
        done = asyncio.run(
            migrate(
                settings.postgres_owner_dsn.get_secret_value(),
                projector_password=projector,
                gateway_password=gateway,
                webhooks_password=webhooks,
            )
        )
    except (SchemaMismatch, asyncpg.PostgresError, OSError) as error:
        sys.stderr.write(f"migration failed: {error}\n")
        return 1
    sys.stdout.write("".join(f"applied {name}\n" for name in done) or "nothing to apply\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
