"""What the projector is told from outside: read from the environment, each name with the prefix `MP_`."""

from pathlib import Path

from mpbus.settings import OpsSettings, secret_from, with_password
from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class ProjectorSettings(OpsSettings):
    """Settings of a running projector."""

    postgres_dsn: SecretStr = Field(description="PostgreSQL, as the role mp_projector")
    postgres_password_file: Path | None = Field(None, description="file with its password, where the DSN names none")
    projection_lease_seconds: float = Field(5.0, ge=1, le=300, description="how long a silent projector keeps its work")
    projection_batch_events: int = Field(8_000, ge=1, le=100_000, description="most events in one transaction")
    projection_stall_seconds: float = Field(
        15.0, ge=1, description="not ready when nothing was folded for so long while the log moves on"
    )

    @property
    def dsn(self) -> str:
        """The DSN with its password. Raises `Unusable` when the password's file cannot be read."""
        return with_password(self.postgres_dsn.get_secret_value(), self.postgres_password_file)


class MigrationSettings(BaseSettings):
    """Settings of a migration."""

    model_config = SettingsConfigDict(env_prefix="MP_")

    postgres_owner_dsn: SecretStr = Field(description="PostgreSQL, as the owner of the tables")
    projector_password: SecretStr | None = Field(None, description="password to give to mp_projector")
    gateway_password: SecretStr | None = Field(None, description="password to give to mp_gateway")
    webhooks_password: SecretStr | None = Field(None, description="password to give to mp_webhooks")
    postgres_owner_password_file: Path | None = Field(None, description="file with it, where the DSN names none")
    projector_password_file: Path | None = Field(None, description="file with the password of mp_projector")
    gateway_password_file: Path | None = Field(None, description="file with the password of mp_gateway")
    webhooks_password_file: Path | None = Field(None, description="file with the password of mp_webhooks")

    @property
    def dsn(self) -> str:
        """The owner's DSN with its password. Raises `Unusable` when the password's file cannot be read."""
        return with_password(self.postgres_owner_dsn.get_secret_value(), self.postgres_owner_password_file)

    @property
    def passwords(self) -> tuple[str | None, str | None, str | None]:
        """Of projector, gateway and webhooks, where they are given. Raises `OSError` when a file cannot be read."""
        return (
            secret_from(self.projector_password, self.projector_password_file),
            secret_from(self.gateway_password, self.gateway_password_file),
            secret_from(self.webhooks_password, self.webhooks_password_file),
        )
