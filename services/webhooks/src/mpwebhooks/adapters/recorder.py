"""Commands to the kernel: what it shall record of the deliveries, as the service's own principal."""

import structlog
from mpbus.errors import BrokerUnavailable, IntakeFull, OutcomeTimeout
from mpbus.ids import new_command_id
from mpbus.producer import CommandProducer
from mpschema import codec
from mpschema.base import Command
from mpschema.envelope import Outcome
from mpschema.registry import COMMANDS
from mpschema.webhook import WORKER, ClearKey, ParkKey, PauseWebhook

from mpwebhooks.ports import Waiting, WebhookSubscription

_REASON_MAX = 2_000
log = structlog.get_logger(__name__)


class KernelRecorder:
    """`ports.Recorder` over the command stream."""

    def __init__(self, producer: CommandProducer) -> None:
        self._producer = producer

    async def park(self, webhook: WebhookSubscription, waiting: Waiting, seq: int) -> Outcome | None:
        """See `ports.Recorder`."""
        arguments = ParkKey(waiting.key, seq, waiting.reason[:_REASON_MAX], waiting.attempts)
        return await self._submit(webhook, "webhook.park", arguments)

    async def clear(self, webhook: WebhookSubscription, key: str) -> Outcome | None:
        """See `ports.Recorder`."""
        return await self._submit(webhook, "webhook.clear", ClearKey(key))

    async def pause(self, webhook: WebhookSubscription, reason: str) -> Outcome | None:
        """See `ports.Recorder`."""
        return await self._submit(webhook, "webhook.pause", PauseWebhook(reason[:_REASON_MAX]))

    async def _submit(self, webhook: WebhookSubscription, kind: str, arguments: Command) -> Outcome | None:
        envelope = COMMANDS[kind].envelope(
            codec.encode(arguments),
            command_id=new_command_id(),
            workspace_id=webhook.workspace_id,
            principal=WORKER,
            target=webhook.id,
        )
        try:
            outcome = await self._producer.submit(envelope)
        except (IntakeFull, BrokerUnavailable, OutcomeTimeout) as error:
            log.warning("webhook.not_recorded", command=kind, webhook=webhook.id, reason=str(error))
            return None
        if not outcome.accepted:
            log.info("webhook.refused", command=kind, webhook=webhook.id, code=outcome.code, detail=outcome.detail)
        return outcome
