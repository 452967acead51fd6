"""Where the loop meets the world: the composition of one projector process."""

import asyncio
import contextlib
import gc
import secrets
import signal

import structlog
import uvloop
from mpbus.connect import connect
from mpbus.identities import PROJECTOR
from mpbus.ops import OpsServer
from mpbus.reader import LogReader
from mpbus.settings import redacted
from mpbus.telemetry import configure
from mpviews import VIEWS
from nats.errors import Error as NatsError

from mpprojector.adapters.migrations import SchemaMismatch
from mpprojector.adapters.postgres_ledger import PostgresLedger
from mpprojector.projector import Pace, Projector
from mpprojector.settings import ProjectorSettings
from mpprojector.worker import Limits

log = structlog.get_logger(__name__)
EXIT_NO_LOG = 1
"""No NATS server answers."""
EXIT_SCHEMA = 3
"""The database's tables are not those this build works with."""


async def serve(settings: ProjectorSettings) -> int:
    """Run one projector until a signal asks it to stop. Returns the exit code."""
    try:
        nc = await connect(settings.nats(PROJECTOR), f"projector-{settings.node}")
    except (NatsError, OSError, TimeoutError) as error:
        log.critical("projector.no_log", url=redacted(settings.nats_url), reason=str(error) or type(error).__name__)
        return EXIT_NO_LOG
    ledger = PostgresLedger(settings.postgres_dsn.get_secret_value(), lease_seconds=settings.projection_lease_seconds)
    pace = Pace(
        beat_seconds=min(1.0, settings.projection_lease_seconds / 4),
        stall_seconds=settings.projection_stall_seconds,
        limits=Limits(events_max=settings.projection_batch_events),
    )
    node = f"{settings.node}-{secrets.token_hex(4)}"
    projector = Projector(LogReader(nc, settings.shard), ledger, list(VIEWS.values()), node, pace)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, projector.stop)
    ops = OpsServer(settings.ops_host, settings.ops_port, projector.health) if settings.ops_port else None
    try:
        if ops is not None:
            await ops.start()
        await projector.run()
    except SchemaMismatch as error:
        log.critical("projector.refuses", reason=str(error))
        return EXIT_SCHEMA
    finally:
        if ops is not None:
            await ops.close()
        with contextlib.suppress(Exception):  # The process ends anyway.
            await nc.close()
    return 0


def run(settings: ProjectorSettings) -> int:
    """Entry point of a projector process."""
    configure("projector", node=settings.node, level=settings.log_level, style=settings.log_format)
    # Rows of a batch live together and die together: looking for cycles among them costs a tenth of the folding.
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    return uvloop.run(serve(settings))
