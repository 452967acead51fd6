"""The settings of operators' tools: environment first, then what `mpd` wrote for this machine."""

import os
from dataclasses import replace
from pathlib import Path

from mpbus.errors import Unusable
from mpbus.options import NatsOptions
from mpcli.home import operator_file
from mpservice.rights import OPERATOR, PROVISION, RESTORE
from mpservice.settings import FROM_ENVIRONMENT, NatsSettings, RedisSettings, sentences, with_password
from mpservice.values import NatsAddresses, SecretDsn, Shard, WebAddress
from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    JsonConfigSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from mpoperator.errors import NotConfigured


class OperatorSettings(NatsSettings, RedisSettings):
    """Environment variables with the prefix `MP_`; what they leave open comes from `$MP_HOME/operator.json`."""

    model_config = SettingsConfigDict(**FROM_ENVIRONMENT, extra="ignore")

    nats_url: NatsAddresses = Field(description="NATS servers, comma separated")
    nats_provision_seed_file: Path | None = Field(None, description="file with the seed of the user that makes streams")
    nats_restore_seed_file: Path | None = Field(None, description="file with the seed of the user that restores logs")
    shard: Shard = Field("0", description="the shard whose log is meant")
    replicas: int = Field(1, ge=1, le=5, description="copies of a stream that has to be made anew")
    postgres_owner_dsn: SecretDsn | None = Field(None, description="PostgreSQL, as a role that sees every row")
    postgres_password_file: Path | None = Field(None, description="file with the password, where the DSN names none")
    postgres_dsn: SecretDsn | None = Field(None, description="the same, where the owner's is not given: mp_projector")
    public_key_file: Path | None = Field(None, description="public half of the key that signs checkpoints")
    redis_url: SecretStr | None = Field(None, description="Redis, where it keeps the leader's lease")  # type: ignore[assignment]  # there may be none
    nats_monitor_url: WebAddress | None = Field(
        None, description="monitoring address of nats-server (its `http` setting)"
    )
    services: dict[str, WebAddress] = Field(
        default_factory=dict, description="operations address of each service by its name, as a JSON object"
    )
    data_dir: Path | None = Field(None, description="folder of all data, where the servers run on this machine")
    secrets_dir: Path | None = Field(None, description="folder of the secrets, where it is on this machine")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Options, environment, file: the first that knows is taken."""
        del dotenv_settings, file_secret_settings
        return init_settings, env_settings, JsonConfigSettingsSource(settings_cls, operator_file(os.environ))

    @property
    def dsn(self) -> str:
        """The address of the archive. Raises `NotConfigured`."""
        if self.known_dsn is None:
            raise NotConfigured("where is PostgreSQL? Set MP_POSTGRES_OWNER_DSN (or MP_POSTGRES_DSN of mp_projector)")
        return self.known_dsn

    @property
    def known_dsn(self) -> str | None:
        """As `dsn`, None where it is not known. Raises `NotConfigured` when its password cannot be read."""
        found = self.postgres_owner_dsn or self.postgres_dsn
        return self._with_password(found) if found else None

    @property
    def owner_dsn(self) -> str:
        """The address of the archive, as the owner of its tables. Raises `NotConfigured`."""
        if self.postgres_owner_dsn is None:
            raise NotConfigured("this needs the owner of the tables: set MP_POSTGRES_OWNER_DSN")
        return self._with_password(self.postgres_owner_dsn)

    def _with_password(self, dsn: SecretStr) -> str:
        try:
            return with_password(dsn.get_secret_value(), self.postgres_password_file)
        except Unusable as error:
            raise NotConfigured(str(error)) from error

    def nats(self, user: str = OPERATOR) -> NatsOptions:
        """Return the options of a connection. Who restores shows another key than who looks: it writes the log."""
        options = super().nats(user)
        other = {PROVISION: self.nats_provision_seed_file, RESTORE: self.nats_restore_seed_file}.get(user)
        return replace(options, nkey_seed_file=other) if other else options


def read_settings() -> OperatorSettings:
    """The settings of this run. Raises `NotConfigured`."""
    try:
        return OperatorSettings()
    except ValidationError as error:
        path, said = operator_file(os.environ), "; ".join(sentences(error))
        if any(each["type"] == "missing" for each in error.errors()):
            raise NotConfigured(f"where are the servers? {said} (neither set nor in {path})") from error
        raise NotConfigured(f"{said} (from the environment, else from {path})") from error
    except SettingsError as error:
        # Of a setting in the environment that is no JSON; the file's own faults are none of these.
        raise NotConfigured(f"MP_SERVICES is no JSON object of addresses by name: {error.__cause__}") from error
    except (OSError, ValueError) as error:
        path = operator_file(os.environ)
        raise NotConfigured(f"{path} cannot be read, and `mpd start` writes it anew: {error}") from error
