"""The state of a webhook."""

import msgspec
from mpschema.webhook import WebhookState

from mpcore.state.tenant import Tenant


class Webhook(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A receiver of events. `parked` says of each key whose events wait if it is still to be requeued.

    `generation` counts the secrets it has had.
    """

    id: str
    version: int
    state: WebhookState
    generation: int = 1
    parked: dict[str, bool] = {}


def webhooks(tenant: Tenant) -> dict[str, Webhook]:
    """The webhooks of a workspace, by their ids."""
    by_id: dict[str, Webhook] = tenant.indexes["webhook"].by_id
    return by_id
