"""The descriptor of the gateway."""

from mpschema import subjects
from mpservice.rights import NatsRights, log_read, mark_read, redis_written, snapshots_read
from mpservice.spec import DeployedSetting, ServiceSpec


def _optional(variable: str, chart: str) -> DeployedSetting:
    return DeployedSetting(variable, compose=f"${{{variable}:-}}", chart=chart)


SERVICE = ServiceSpec(
    name="gateway",
    nats=NatsRights(
        "sends commands for its clients, hears their outcomes, reads the log and who may enter",
        publish=lambda shard: (subjects.command_subject(shard), *log_read(shard), *snapshots_read(), mark_read()),
        subscribe=lambda _: (subjects.reply_subjects("gateway"),),
        pushed_snapshots=True,
    ),
    facts=("nats", "log", "postgres", "redis"),
    scaling="replicas",
    redis=redis_written("limit"),
    database_role="mp_gateway",
    secrets=("pepper", "token_key", "webhook_key"),
    key_hashes=("MP_ROOT_KEY_HASH",),
    http=True,
    reaches=("identity",),
    settings=(
        _optional("MP_OTLP_ENDPOINT", "tracing.otlpEndpoint"),
        _optional("MP_TRUSTED_PROXIES", "gateway.trustedProxies"),
        _optional("MP_OIDC_ISSUER", "oidc.issuer"),
        _optional("MP_OIDC_AUDIENCE", "oidc.audience"),
        _optional("MP_OIDC_JWKS_URL", "oidc.jwksUrl"),
        DeployedSetting(
            "MP_WEBHOOKS_ALLOW_PRIVATE",
            compose="${MP_WEBHOOKS_ALLOW_PRIVATE:-false}",
            chart="webhooks.allowPrivate",
            machine="true",
        ),
    ),
    stop_seconds=30,
)
