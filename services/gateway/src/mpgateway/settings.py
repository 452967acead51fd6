"""The settings of a gateway, parsed once."""

import re
from functools import cached_property
from pathlib import Path

from mpservice.settings import OpsSettings, PostgresSettings, RedisSettings, secret
from mpservice.values import Operators, Origins, TrustedProxies, WebAddress, listed
from pydantic import Field, field_validator, model_validator

from mpgateway.wire.limits import WireLimits

_WIRE = WireLimits()


class GatewaySettings(OpsSettings, RedisSettings, PostgresSettings):
    """Read from the environment, each name with the prefix `MP_`."""

    http_host: str = Field("127.0.0.1", description="address to listen on")
    http_port: int = Field(8080, ge=0, le=65_535, description="port to listen on")
    postgres_connections: int = Field(8, ge=1, le=100, description="connections to Postgres")
    secrets_dir: Path = Field(description="folder with the files `pepper`, `token_key`, `webhook_key`")
    root_key_hash: str = Field("", description="hash of the API key of user:root; empty: there is no such key")
    operators: Operators = Field(
        "user:root",
        description="principals that may read and make every workspace and raise the level, comma separated",
    )
    oidc_issuer: str = Field("", description="issuer of accepted JWTs")
    oidc_audience: str = Field("", description="audience that JWTs must name")
    oidc_jwks_url: WebAddress = Field("", description="where the issuer publishes its keys")
    rate_limit_per_second: int = Field(20_000, ge=1, description="commands and requests a second, per principal")
    rate_limit_burst: int = Field(20_000, ge=1, description="how many may come at once, per principal")
    outcome_seconds: float = Field(10.0, gt=0, description="how long a command waits for its outcome")
    drain_seconds: float = Field(10.0, gt=0, description="how long requests in flight may take after SIGTERM")
    trusted_proxies: TrustedProxies = Field(
        "", description="addresses and networks whose X-Forwarded-For is believed, comma separated"
    )
    webhooks_allow_private: bool = Field(
        False, description="take webhooks to plain http and private networks, too, as the service that delivers does"
    )
    cors_origins: Origins = Field("", description="origins whose pages may read answers, comma separated; empty: none")
    otlp_endpoint: WebAddress = Field("", description="OTLP/HTTP collector for traces of requests; empty: no traces")
    http_head_bytes: int = Field(_WIRE.head_bytes_max, ge=4_096, description="largest request line with its headers")
    http_head_seconds: float = Field(_WIRE.head_seconds, gt=0, description="from a request's first byte to its headers")
    http_body_seconds: float = Field(_WIRE.body_seconds, gt=0, description="from a request's headers to its last byte")
    http_body_idle_seconds: float = Field(_WIRE.body_idle_seconds, gt=0, description="longest silence in a body")
    http_keep_alive_seconds: float = Field(_WIRE.keep_alive_seconds, gt=0, description="wait for the next request")
    http_answer_seconds: float = Field(_WIRE.answer_seconds, gt=0, description="how long an answer may lie unread")
    http_linger_seconds: float = Field(_WIRE.linger_seconds, gt=0, description="wait for the client's close")
    http_pipelined_max: int = Field(_WIRE.pipelined_max, ge=1, description="requests that wait on one connection")
    http_connections_max: int = Field(_WIRE.connections_max, ge=1, description="connections open at once")
    http_unfinished_bytes: int = Field(_WIRE.unfinished_bytes_max, ge=1, description="of all incomplete requests")
    http_bodies_bytes: int = Field(128 << 20, ge=16 << 20, description="of large bodies, until they are answered")
    http_bodies_principal_bytes: int = Field(64 << 20, ge=8 << 20, description="of those, the bodies of one principal")
    http_unread_bytes: int = Field(_WIRE.unread_bytes_max, ge=1, description="of all answers that nobody reads")
    stream_clients_max: int = Field(4_000, ge=1, description="event streams open at once")
    stream_workspace_max: int = Field(2_000, ge=1, description="event streams open at once, of one workspace")
    stream_principal_max: int = Field(1_000, ge=1, description="event streams open at once, of one principal")
    stream_unread_max: int = Field(32, ge=1, description="streams of a principal that may lie unread for long")
    stream_ring_bytes: int = Field(
        128 << 20, ge=1 << 16, description="recent commits in memory, with what is made of them"
    )
    stream_read_bytes_per_second: int = Field(
        32 << 20, ge=1 << 20, description="of the log, for all streams of a principal that are behind"
    )
    stream_heartbeat_seconds: float = Field(15.0, gt=0, description="longest silence on an event stream")
    stream_stall_seconds: float = Field(20.0, gt=0, description="how long one write to a slow client may take")

    @field_validator("root_key_hash")
    @classmethod
    def _is_a_hash(cls, value: str) -> str:
        if value and not re.fullmatch("[0-9a-f]{64}", value):
            raise ValueError("write the 64 hex digits (0-9, a-f) that stand in root_key_hash, which `mpd keys` made")
        return value

    @model_validator(mode="after")
    def _oidc_is_all_or_nothing(self) -> "GatewaySettings":
        given = [bool(self.oidc_issuer), bool(self.oidc_audience), bool(self.oidc_jwks_url)]
        if any(given) and not all(given):
            raise ValueError("MP_OIDC_ISSUER, MP_OIDC_AUDIENCE and MP_OIDC_JWKS_URL are set together or not at all")
        return self

    @cached_property
    def cors_origin_names(self) -> frozenset[str]:
        """The origins as a set."""
        return frozenset(listed(self.cors_origins))

    @property
    def wire_limits(self) -> WireLimits:
        """The bounds of connections."""
        return WireLimits(
            head_bytes_max=self.http_head_bytes,
            head_seconds=self.http_head_seconds,
            body_seconds=self.http_body_seconds,
            body_idle_seconds=self.http_body_idle_seconds,
            keep_alive_seconds=self.http_keep_alive_seconds,
            answer_seconds=self.http_answer_seconds,
            linger_seconds=self.http_linger_seconds,
            pipelined_max=self.http_pipelined_max,
            connections_max=self.http_connections_max,
            unfinished_bytes_max=self.http_unfinished_bytes,
            unread_bytes_max=self.http_unread_bytes,
        )

    @cached_property
    def operator_names(self) -> frozenset[str]:
        """The operators as a set."""
        return frozenset(listed(self.operators))

    def read_secrets(self) -> None:
        """Read every file now, so that an unusable one is told at the start. Raises `Unusable`."""
        for _ in (self.pepper, self.token_key, self.webhook_key, self.dsn):
            pass

    @cached_property
    def pepper(self) -> bytes:
        """The key under which API keys are hashed. Raises `Unusable`."""
        return secret(self.secrets_dir / "pepper")

    @cached_property
    def token_key(self) -> bytes:
        """The key that signs agent tokens. Raises `Unusable`."""
        return secret(self.secrets_dir / "token_key")

    @cached_property
    def webhook_key(self) -> bytes:
        """The key that the secrets of webhooks derive from. Raises `Unusable`."""
        return secret(self.secrets_dir / "webhook_key")
