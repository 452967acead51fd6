"""Where the deliveries meet the world: the composition of one process."""

import contextlib
import secrets
import ssl

import httpx
import structlog
import uvloop
from mpbus.connect import connect
from mpbus.errors import Unusable
from mpbus.producer import CommandProducer
from mpbus.vitals import Vital
from mpservice.identities import WEBHOOKS
from mpservice.lifecycle import Lifecycle, live
from mpservice.settings import EXIT_MISCONFIGURED
from mpservice.telemetry import configure

from mpwebhooks.adapters.endpoint import EndpointSender
from mpwebhooks.adapters.names import Names
from mpwebhooks.adapters.positions import Positions
from mpwebhooks.adapters.postgres import Database
from mpwebhooks.adapters.recorder import KernelRecorder
from mpwebhooks.lane import DeliveryLane
from mpwebhooks.ports import Parked, WebhookLease, WebhookSubscription
from mpwebhooks.service import DeliveryService, MakeLane
from mpwebhooks.settings import WebhooksSettings

log = structlog.get_logger(__name__)
GRACE_SECONDS = 1.0
"""Beyond the time of one attempt, for what is in flight when asked to stop."""


async def serve(settings: WebhooksSettings, life: Lifecycle) -> int:
    """Deliver until a signal asks to stop. Returns the exit code."""
    nats = Vital("nats")
    nc = await life.reach(nats, connect(settings.nats(WEBHOOKS), f"webhooks-{settings.node}", writer=True, vital=nats))
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(nc.close)
        producer = CommandProducer(nc, settings.shard, user=WEBHOOKS, instance=settings.instance)
        await producer.start()
        stack.push_async_callback(producer.close)
        database = Database(settings.dsn)
        await database.start()
        stack.push_async_callback(database.close)
        store = Positions(database, settings.webhooks_lease_seconds)
        service = DeliveryService(
            store,
            lanes(settings, store, KernelRecorder(producer)),
            f"{settings.node}-{secrets.token_hex(4)}",
            poll_seconds=settings.webhooks_poll_seconds,
            beat_seconds=min(1.0, settings.webhooks_lease_seconds / 4),
            grace_seconds=settings.webhooks_timeout_seconds + GRACE_SECONDS,
        )
        life.serves(service.health, service.stop, knows=(nats,))
        await service.run()
    return 0


def lanes(settings: WebhooksSettings, store: Positions, recorder: KernelRecorder) -> MakeLane:
    """What makes the lane of a webhook."""
    # One context for all: to make one reads every certificate of the machine.
    trust: ssl.SSLContext = httpx.create_ssl_context(trust_env=False)
    names = Names()

    def make(lease: WebhookLease, webhook: WebhookSubscription, parked: list[Parked]) -> DeliveryLane:
        sender = EndpointSender(
            settings.webhook_key,
            trust,
            names,
            lease.name[0],
            timeout_seconds=settings.webhooks_timeout_seconds,
            connections=2 * settings.webhooks_concurrency,
            allow_private=settings.webhooks_allow_private,
        )
        return DeliveryLane(
            lease, webhook, parked, store=store, sender=sender, recorder=recorder, policy=settings.policy
        )

    return make


def run(settings: WebhooksSettings) -> int:
    """Entry point of the process."""
    configure("webhooks", node=settings.node, level=settings.log_level, style=settings.log_format)
    try:
        settings.webhook_key  # noqa: B018 - read now, so that a missing file is told at the start
    except Unusable as error:
        log.critical("webhooks.misconfigured", reason=str(error))
        return EXIT_MISCONFIGURED
    return uvloop.run(live("webhooks", settings, lambda life: serve(settings, life)))
