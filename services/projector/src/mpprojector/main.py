"""The composition of a projector process, and the one command that makes its tables."""

import gc
import secrets

from mpbus.errors import Unusable
from mpbus.reader import LogReader
from mpservice.database import DRIVER_ERRORS
from mpservice.lifecycle import Lifecycle
from mpservice.oneshot import run_once
from mpservice.program import run_service
from mpservice.settings import read_settings
from mpstore.readmodels.ledger import PostgresLedger
from mpstore.readmodels.migrations import SchemaMismatch, migrate
from mpviews import VIEWS

from mpprojector.projector import Projector, ProjectorTiming
from mpprojector.settings import MigrationSettings, ProjectorSettings
from mpprojector.spec import SERVICE
from mpprojector.worker import BatchLimits


async def serve(settings: ProjectorSettings, life: Lifecycle) -> int:
    """Run one projector until a signal asks it to stop. Returns the exit code."""
    async with life.bus(SERVICE.name, settings) as nc:
        ledger = PostgresLedger(settings.dsn, lease_seconds=settings.projection_lease_seconds)
        pace = ProjectorTiming(
            beat_seconds=min(1.0, settings.projection_lease_seconds / 4),
            stall_seconds=settings.projection_stall_seconds,
            limits=BatchLimits(events_max=settings.projection_batch_events),
        )
        node = f"{settings.node}-{secrets.token_hex(4)}"
        projector = Projector(LogReader(nc, settings.shard), ledger, list(VIEWS.values()), node, pace)
        life.serves(projector.health, projector.stop)
        await projector.run()
    return 0


def run() -> int:
    """Fold until told to stop. Returns the exit code."""
    settings = read_settings(ProjectorSettings)
    # Rows of a batch live together and die together: looking for cycles among them costs a tenth of the folding.
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    return run_service(SERVICE.name, settings, serve)


def make_tables() -> int:
    """Make the roles and tables what this build needs. Returns the exit code."""
    settings = read_settings(MigrationSettings)
    return run_once("migration", lambda: _migrated(settings), SchemaMismatch, Unusable, *DRIVER_ERRORS)


async def _migrated(settings: MigrationSettings) -> str:
    projector, gateway, webhooks = settings.passwords
    done = await migrate(
        settings.dsn, projector_password=projector, gateway_password=gateway, webhooks_password=webhooks
    )
    return "\n".join(f"applied {name}" for name in done) or "nothing to apply"
