"""A receiver of events over HTTP: active, paused while nothing is delivered, removed for good.

What is delivered is no business of the kernel's. It records what a person must know and decide about: that the events
of one aggregate wait after too many failures, that somebody wants them delivered, and that they were.
"""

from mpschema.webhook import WebhookRemoved, WebhookState

from mpcore.domain.webhook.evolve import EVOLVE
from mpcore.domain.webhook.rules import RULES
from mpcore.domain.webhook.state import Webhook
from mpcore.state.descriptor import Aggregate

AGGREGATE = Aggregate(
    name="webhook",
    about=__doc__,
    state=Webhook,
    rules=RULES,
    evolve=EVOLVE,
    finished=frozenset({WebhookState.REMOVED}),
    finishing=(WebhookRemoved,),
)
