"""Where the loop meets the world: the composition of one projector process."""

import contextlib
import gc
import secrets

import uvloop
from mpbus.connect import connect
from mpbus.identities import PROJECTOR
from mpbus.lifecycle import Lifecycle, live
from mpbus.reader import LogReader
from mpbus.telemetry import configure
from mpbus.vitals import Vital
from mpstore.readmodels.ledger import PostgresLedger
from mpviews import VIEWS

from mpprojector.projector import Projector, ProjectorTiming
from mpprojector.settings import ProjectorSettings
from mpprojector.worker import BatchLimits


async def serve(settings: ProjectorSettings, life: Lifecycle) -> int:
    """Run one projector until a signal asks it to stop. Returns the exit code."""
    nats = Vital("nats")
    nc = await life.reach(nats, connect(settings.nats(PROJECTOR), f"projector-{settings.node}", vital=nats))
    ledger = PostgresLedger(settings.dsn, lease_seconds=settings.projection_lease_seconds)
    pace = ProjectorTiming(
        beat_seconds=min(1.0, settings.projection_lease_seconds / 4),
        stall_seconds=settings.projection_stall_seconds,
        limits=BatchLimits(events_max=settings.projection_batch_events),
    )
    node = f"{settings.node}-{secrets.token_hex(4)}"
    projector = Projector(LogReader(nc, settings.shard), ledger, list(VIEWS.values()), node, pace)
    life.serves(projector.health, projector.stop)
    try:
        await projector.run()
    finally:
        with contextlib.suppress(Exception):  # The process ends anyway.
            await nc.close()
    return 0


def run(settings: ProjectorSettings) -> int:
    """Entry point of a projector process."""
    configure("projector", node=settings.node, level=settings.log_level, style=settings.log_format)
    # Rows of a batch live together and die together: looking for cycles among them costs a tenth of the folding.
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    return uvloop.run(live("projector", settings, lambda life: serve(settings, life)))
