"""`python -m mpprojector` folds the log until it is told to stop; `python -m mpprojector migrate` makes its tables."""

import sys

from mpbus.database import DRIVER_ERRORS
from mpbus.errors import Unusable
from mpbus.oneshot import run_once
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
                settings = MigrationSettings()
                refusals = (SchemaMismatch, Unusable, *DRIVER_ERRORS)
                return run_once("migration", lambda: _migrated(settings), *refusals)
            case _:
                sys.stderr.write(USAGE)
                return 2
    except ValidationError as error:
        sys.stderr.write(f"settings: {error}\n")
        return 2


async def _migrated(settings: MigrationSettings) -> str:
    projector, gateway, webhooks = settings.passwords
    done = await migrate(
        settings.dsn, projector_password=projector, gateway_password=gateway, webhooks_password=webhooks
    )
    return "\n".join(f"applied {name}" for name in done) or "nothing to apply"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
