"""The settings of a projector and of a migration, each with the prefix `MP_` in the environment."""

from pathlib import Path
from typing import Self

from mpservice.settings import FROM_ENVIRONMENT, OpsSettings, PostgresSettings, secret_from, with_password
from mpservice.values import SecretDsn
from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings


class ProjectorSettings(OpsSettings, PostgresSettings):
    """Settings of a running projector."""

    projection_lease_seconds: float = Field(5.0, ge=1, le=300, description="how long a silent projector keeps its work")
    projection_batch_events: int = Field(8_000, ge=1, le=100_000, description="most events in one transaction")
    projection_stall_seconds: float = Field(
        15.0, ge=1, description="not ready when nothing was folded for so long while the log moves on"
    )


def _told(name: str) -> str:
    return f"MP_{name.upper()}"


class MigrationSettings(BaseSettings):
    """Settings of a migration."""

    model_config = FROM_ENVIRONMENT

    postgres_owner_dsn: SecretDsn = Field(description="PostgreSQL, as the owner of the tables")
    projector_password: SecretStr | None = Field(None, description="password to give to mp_projector")
    gateway_password: SecretStr | None = Field(None, description="password to give to mp_gateway")
    webhooks_password: SecretStr | None = Field(None, description="password to give to mp_webhooks")
    postgres_owner_password_file: Path | None = Field(None, description="file with it, where the DSN names none")
    projector_password_file: Path | None = Field(None, description="file with the password of mp_projector")
    gateway_password_file: Path | None = Field(None, description="file with the password of mp_gateway")
    webhooks_password_file: Path | None = Field(None, description="file with the password of mp_webhooks")

    @model_validator(mode="after")
    def _each_password_is_told_once(self) -> Self:
        for role in ("projector", "gateway", "webhooks"):
            name, file = f"{role}_password", f"{role}_password_file"
            value: SecretStr | None = getattr(self, name)
            if secret_from(value, None) and (getattr(self, file) or Path()).name:
                raise ValueError(f"{_told(name)} and {_told(file)} are two passwords for one role: leave one")
        return self

    @property
    def dsn(self) -> str:
        """The owner's DSN with its password. Raises `Unusable` when the password's file cannot be read."""
        return with_password(self.postgres_owner_dsn.get_secret_value(), self.postgres_owner_password_file)

    @property
    def passwords(self) -> tuple[str | None, str | None, str | None]:
        """Of projector, gateway and webhooks, where they are given. Raises `Unusable`."""
        return (
            secret_from(self.projector_password, self.projector_password_file),
            secret_from(self.gateway_password, self.gateway_password_file),
            secret_from(self.webhooks_password, self.webhooks_password_file),
        )
