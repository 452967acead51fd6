"""What the projector is told from outside: read from the environment, each name with the prefix `MP_`."""

from mpbus.settings import OpsSettings
from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class ProjectorSettings(OpsSettings):
    """Settings of a running projector."""

    postgres_dsn: SecretStr = Field(description="PostgreSQL, as the role mp_projector")
    projection_lease_seconds: float = Field(5.0, ge=1, le=300, description="how long a silent projector keeps its work")
    projection_batch_events: int = Field(8_000, ge=1, le=100_000, description="most events in one transaction")
    projection_stall_seconds: float = Field(
        15.0, ge=1, description="not ready when nothing was folded for so long while the log moves on"
    )


class MigrationSettings(BaseSettings):
    """Settings of a migration."""

    model_config = SettingsConfigDict(env_prefix="MP_")

    postgres_owner_dsn: SecretStr = Field(description="PostgreSQL, as the owner of the tables")
    projector_password: SecretStr | None = Field(None, description="password to give to mp_projector")
    gateway_password: SecretStr | None = Field(None, description="password to give to mp_gateway")
    webhooks_password: SecretStr | None = Field(None, description="password to give to mp_webhooks")
