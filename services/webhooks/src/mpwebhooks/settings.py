"""The settings of a process that delivers webhooks, each with the prefix `MP_` in the environment."""

from functools import cached_property
from pathlib import Path

from mpservice.settings import OpsSettings, PostgresSettings, secret
from pydantic import Field

from mpwebhooks.ports import Policy


class WebhooksSettings(OpsSettings, PostgresSettings):
    """Settings of a process that delivers webhooks."""

    instance: str = Field(
        "main", pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,49}$", description="the instance whose subject it commands on"
    )
    secrets_dir: Path = Field(description="folder with the file `webhook_key`")
    webhooks_allow_private: bool = Field(
        False, description="deliver to plain http and to addresses of private networks, too"
    )
    webhooks_attempts: int = Field(8, ge=2, le=100, description="failures of one event after which its key is parked")
    webhooks_backoff_seconds: float = Field(2.0, gt=0, le=3_600, description="wait after the first failure")
    webhooks_backoff_max_seconds: float = Field(600.0, gt=0, le=86_400, description="longest wait between attempts")
    webhooks_timeout_seconds: float = Field(15.0, gt=0, le=300, description="how long an endpoint may take to answer")
    webhooks_concurrency: int = Field(16, ge=1, le=256, description="requests in flight to one endpoint")
    webhooks_lease_seconds: float = Field(10.0, ge=1, le=300, description="how long a silent worker keeps its webhooks")
    webhooks_poll_seconds: float = Field(0.2, gt=0, le=60, description="how often the archive is asked for news")

    @cached_property
    def webhook_key(self) -> bytes:
        """The key that secrets derive from. Raises `Unusable`."""
        return secret(self.secrets_dir / "webhook_key")

    @property
    def policy(self) -> Policy:
        """The policy by which one webhook is delivered."""
        return Policy(
            attempts_max=self.webhooks_attempts,
            backoff_seconds=self.webhooks_backoff_seconds,
            backoff_max_seconds=self.webhooks_backoff_max_seconds,
            concurrency=self.webhooks_concurrency,
        )
