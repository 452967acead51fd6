"""`python -m mpprojector` folds the log until it is told to stop; `python -m mpprojector migrate` makes its tables."""

import sys

from mpbus.database import DRIVER_ERRORS
from mpbus.errors import Unusable
from mpbus.oneshot import run_once
from mpbus.settings import read_settings
from mpstore.readmodels.migrations import SchemaMismatch, migrate

from mpprojector import main as composition
from mpprojector.settings import MigrationSettings, ProjectorSettings

USAGE = "usage: python -m mpprojector [migrate]\n"


def main(arguments: list[str]) -> int:
    """Exit code: 0 when done, 1 when the world refused, 2 for wrong usage or settings."""
    match arguments:
        case []:
            return composition.run(read_settings(ProjectorSettings))
        case ["migrate"]:
            settings = read_settings(MigrationSettings)
            return run_once("migration", lambda: _migrated(settings), SchemaMismatch, Unusable, *DRIVER_ERRORS)
        case _:
            sys.stderr.write(USAGE)
            return 2


async def _migrated(settings: MigrationSettings) -> str:
    projector, gateway, webhooks = settings.passwords
    done = await migrate(
        settings.dsn, projector_password=projector, gateway_password=gateway, webhooks_password=webhooks
    )
    return "\n".join(f"applied {name}" for name in done) or "nothing to apply"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
