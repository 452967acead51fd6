"""The composition of a process that delivers webhooks."""

import contextlib
import secrets
import ssl

import httpx
from mpbus.producer import CommandProducer
from mpservice.lifecycle import Lifecycle
from mpservice.program import run_service
from mpservice.settings import read_settings

from mpwebhooks.adapters.endpoint import EndpointSender
from mpwebhooks.adapters.names import Names
from mpwebhooks.adapters.positions import Positions
from mpwebhooks.adapters.postgres import Database
from mpwebhooks.adapters.recorder import KernelRecorder
from mpwebhooks.lane import DeliveryLane
from mpwebhooks.ports import Parked, WebhookLease, WebhookSubscription
from mpwebhooks.service import DeliveryService, MakeLane
from mpwebhooks.settings import WebhooksSettings
from mpwebhooks.spec import SERVICE

GRACE_SECONDS = 1.0
"""Beyond the time of one attempt, for what is in flight when asked to stop."""


async def serve(settings: WebhooksSettings, life: Lifecycle) -> int:
    """Deliver until a signal asks to stop. Returns the exit code."""
    async with contextlib.AsyncExitStack() as stack:
        nc = await stack.enter_async_context(life.bus(SERVICE.name, settings, writer=True))
        producer = CommandProducer(nc, settings.shard, user=SERVICE.name, instance=settings.instance)
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
        life.serves(service.health, service.stop, knows=(nc.vital,))
        await service.run()
    return 0


def lanes(settings: WebhooksSettings, store: Positions, recorder: KernelRecorder) -> MakeLane:
    """The function that makes the lane of a webhook."""
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


def run() -> int:
    """Deliver until told to stop. Returns the exit code."""
    return run_service(SERVICE.name, read_settings(WebhooksSettings), serve, lambda settings: settings.webhook_key)
