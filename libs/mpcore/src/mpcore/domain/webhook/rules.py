"""The rules of a webhook's commands."""

from mpschema import webhook as words
from mpschema.levels import CHILDREN_LEVEL, FIRST_LEVEL
from mpschema.registry import EVENTS
from mpschema.rejections import Code, Rejection
from mpschema.webhook import SIGNS_ON_SECONDS, WebhookState

from mpcore.domain.webhook.state import Webhook, webhooks
from mpcore.state.facts import Decision, Fact
from mpcore.state.rules import NOBODY, TENANCY, DecisionContext, Rule, Rules

ACTIVE, PAUSED, REMOVED = WebhookState.ACTIVE, WebhookState.PAUSED, WebhookState.REMOVED
_STANDING = frozenset({ACTIVE, PAUSED})
WEBHOOKS_MAX = 100
"""The most webhooks of a workspace that may stand at once."""
PARKED_MAX = 1_000
"""The most keys of a webhook that may be parked at once. One more pauses it: then the receiver needs mending."""
_WORKER = frozenset({words.WORKER})

_EVENT_KINDS = frozenset(EVENTS) | {spec.name for spec in EVENTS.values()}
_AGGREGATE_KINDS = frozenset(spec.aggregate for spec in EVENTS.values())


def _unknown(event_types: tuple[str, ...] | None, aggregates: tuple[str, ...] | None) -> Rejection | None:
    """Refuse filters that no event passes: a name that no event has is a mistake, reported at once."""
    unknown = [name for name in event_types or () if name not in _EVENT_KINDS]
    unknown += [name for name in aggregates or () if name not in _AGGREGATE_KINDS]
    if not unknown:
        return None
    return Rejection(Code.SCHEMA_INVALID, f"{unknown[0]!r} is no event type or aggregate known here")


def _not_yet(after_seq: int | None, context: DecisionContext) -> Rejection | None:
    last = context.draft.world.seq
    if after_seq is None or after_seq <= last:
        return None
    return Rejection(Code.NOT_FOUND, f"event {after_seq} is not recorded yet: the last is {last}")


def _create(_: None, arguments: words.CreateWebhook, context: DecisionContext) -> Decision:
    refused = _unknown(arguments.event_types, arguments.aggregates) or _not_yet(arguments.after_seq, context)
    if refused is not None:
        return refused
    if sum(webhook.state is not REMOVED for webhook in webhooks(context.draft.tenant).values()) >= WEBHOOKS_MAX:
        return Rejection(Code.OVERLOADED, f"{WEBHOOKS_MAX} webhooks stand in this workspace: remove one first")
    after_seq = context.draft.world.seq if arguments.after_seq is None else arguments.after_seq
    event = words.WebhookCreated(arguments.endpoint, after_seq, arguments.event_types, arguments.aggregates)
    return (Fact("webhook", context.target, event),)


def _configure(webhook: Webhook, arguments: words.ConfigureWebhook, _: DecisionContext) -> Decision:
    if refused := _unknown(arguments.event_types, arguments.aggregates):
        return refused
    event = words.WebhookConfigured(arguments.endpoint, arguments.event_types, arguments.aggregates)
    return (Fact("webhook", webhook.id, event),)


def _pause(webhook: Webhook, arguments: words.PauseWebhook, _: DecisionContext) -> Decision:
    return (Fact("webhook", webhook.id, words.WebhookPaused(arguments.reason)),)


def _resume(webhook: Webhook, arguments: words.ResumeWebhook, context: DecisionContext) -> Decision:
    if refused := _not_yet(arguments.after_seq, context):
        return refused
    forgotten = () if arguments.after_seq is None else _cleared(webhook)
    return (*forgotten, Fact("webhook", webhook.id, words.WebhookResumed(arguments.after_seq)))


def _remove(webhook: Webhook, _: words.RemoveWebhook, __: DecisionContext) -> Decision:
    return (*_cleared(webhook), Fact("webhook", webhook.id, words.WebhookRemoved()))


def _cleared(webhook: Webhook) -> tuple[Fact, ...]:
    return tuple(Fact("webhook", webhook.id, words.DeliveryCleared(key)) for key in webhook.parked)


def _rotate(webhook: Webhook, _: words.RotateWebhookSecret, context: DecisionContext) -> Decision:
    event = words.WebhookSecretRotated(webhook.generation + 1, context.inputs.now_ms + SIGNS_ON_SECONDS * 1_000)
    return (Fact("webhook", webhook.id, event),)


def _park(webhook: Webhook, arguments: words.ParkKey, _: DecisionContext) -> Decision:
    if webhook.parked.get(arguments.key, False):
        return Rejection(Code.INVALID_STATE, f"{arguments.key} is parked already")
    if arguments.key not in webhook.parked and len(webhook.parked) >= PARKED_MAX:
        reason = f"{PARKED_MAX:,} keys are parked; the next would have been {arguments.key}: {arguments.reason}"
        return (Fact("webhook", webhook.id, words.WebhookPaused(reason[:2_000])),)
    event = words.DeliveryParked(arguments.key, arguments.seq, arguments.reason, arguments.attempts)
    return (Fact("webhook", webhook.id, event),)


def _requeue(webhook: Webhook, arguments: words.RequeueKeys, _: DecisionContext) -> Decision:
    key = arguments.key
    if key is not None and not webhook.parked.get(key, False):
        if key in webhook.parked:
            return Rejection(Code.INVALID_STATE, f"{key} is requeued already")
        return Rejection(Code.NOT_FOUND, f"webhook {webhook.id} has nothing parked of {key}")
    keys = [key] if key is not None else [each for each, parked in webhook.parked.items() if parked]
    if not keys:
        return Rejection(Code.INVALID_STATE, f"webhook {webhook.id} has nothing parked")
    return tuple(Fact("webhook", webhook.id, words.DeliveryRequeued(each)) for each in keys)


def _clear(webhook: Webhook, arguments: words.ClearKey, _: DecisionContext) -> Decision:
    if arguments.key not in webhook.parked:
        return Rejection(Code.NOT_FOUND, f"webhook {webhook.id} has nothing parked of {arguments.key}")
    if webhook.parked[arguments.key]:
        return Rejection(Code.INVALID_STATE, f"{arguments.key} is parked: it was not requeued")
    return (Fact("webhook", webhook.id, words.DeliveryCleared(arguments.key)),)


RULES: Rules = {
    words.CreateWebhook: Rule(decide=_create, targets=(ACTIVE,), roles=TENANCY),
    words.ConfigureWebhook: Rule(decide=_configure, sources=_STANDING, roles=TENANCY),
    words.PauseWebhook: Rule(
        decide=_pause,
        sources=frozenset({ACTIVE}),
        targets=(PAUSED,),
        roles=TENANCY,
        services=_WORKER,
        ungated_since=FIRST_LEVEL,
    ),
    words.ResumeWebhook: Rule(decide=_resume, sources=frozenset({PAUSED}), targets=(ACTIVE,), roles=TENANCY),
    # What tells the world outside can always be ended.
    words.RemoveWebhook: Rule(
        decide=_remove, sources=_STANDING, targets=(REMOVED,), roles=TENANCY, ungated_since=CHILDREN_LEVEL
    ),
    words.RotateWebhookSecret: Rule(decide=_rotate, sources=_STANDING, roles=TENANCY),
    words.ParkKey: Rule(
        decide=_park,
        sources=frozenset({ACTIVE}),
        targets=(ACTIVE, PAUSED),
        roles=NOBODY,
        services=_WORKER,
        ungated_since=FIRST_LEVEL,
    ),
    words.RequeueKeys: Rule(decide=_requeue, sources=_STANDING, roles=TENANCY),
    words.ClearKey: Rule(decide=_clear, sources=_STANDING, roles=NOBODY, services=_WORKER, ungated_since=FIRST_LEVEL),
}
"""The level from which a frozen workspace goes on with these: its events are still delivered, or no longer."""
