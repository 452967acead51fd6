"""The descriptor of the service that delivers webhooks."""

from mpservice.rights import NatsRights
from mpservice.spec import DeployedSetting, ServiceSpec

SERVICE = ServiceSpec(
    name="webhooks",
    nats=NatsRights("sends the few commands it is for on the subject of its instance", commands_as_service=True),
    facts=("nats", "postgres"),
    scaling="workers",
    database_role="mp_webhooks",
    secrets=("webhook_key",),
    reaches=("endpoints",),
    settings=(
        DeployedSetting(
            "MP_WEBHOOKS_ALLOW_PRIVATE",
            compose="${MP_WEBHOOKS_ALLOW_PRIVATE:-false}",
            chart="webhooks.allowPrivate",
            machine="true",  # Endpoints are as near as everything on one machine.
        ),
    ),
    optional=True,
    stop_seconds=30,
)
