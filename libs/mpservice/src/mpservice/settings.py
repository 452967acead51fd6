"""The settings that services share, and how a process reads its own."""

import socket
import sys
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar
from urllib.parse import parse_qsl, quote, urlsplit

from mpbus.errors import Unusable
from mpbus.options import NatsOptions
from pydantic import BeforeValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError
from redis.asyncio import Redis
from redis.credentials import CredentialProvider
from redis.exceptions import AuthenticationError, RedisError
from redis.maint_notifications import MaintNotificationsConfig

from mpservice.values import NatsAddresses, SecretDsn, Shard

EXIT_MISCONFIGURED = 2
"""A setting does not fit, or a credential or certificate cannot be read."""
FROM_ENVIRONMENT = SettingsConfigDict(env_prefix="MP_", allow_inf_nan=False)
_REDIS_FORM = "write redis://HOST:PORT/NUMBER, or rediss://HOST:PORT/NUMBER for TLS"
_Lower = BeforeValidator(lambda value: value.lower() if isinstance(value, str) else value)
_Settings = TypeVar("_Settings", bound=BaseSettings)


def read_settings(kind: type[_Settings]) -> _Settings:
    """Return the settings of this process. An invalid one ends it with a sentence: `SystemExit`, code 2."""
    try:
        return kind()
    except ValidationError as error:
        said = sentences(error)
    except SettingsError as error:
        said = [str(error)]
    for each in said:
        sys.stderr.write(f"settings: {each}\n")
    raise SystemExit(EXIT_MISCONFIGURED)


def sentences(error: ValidationError) -> list[str]:
    """The faults of settings, a sentence each: by their names in the environment, without their values."""
    return [
        ": ".join([*(f"MP_{name}".upper() for name in each["loc"][:1]), each["msg"].removeprefix("Value error, ")])
        for each in error.errors()
    ]


SECRET_BYTES_MIN = 32
"""A shorter secret can be guessed, or was cut off."""


class NatsSettings(BaseSettings):
    """The address of NATS and our identity there. Read from the environment, each name with the prefix `MP_`.

    Secrets are named by their files: what stands in an address is shown in logs and lists of processes.
    """

    model_config = FROM_ENVIRONMENT

    nats_url: NatsAddresses = Field("nats://127.0.0.1:4222", description="NATS servers, comma separated")
    nats_nkey_seed_file: Path | None = Field(None, description="file with the seed of our nkey; empty: no nkey")
    nats_creds_file: Path | None = Field(None, description="file with a JWT and its seed (`.creds`); empty: none")
    nats_user: str = Field("", description="name to say with the password")
    nats_password_file: Path | None = Field(None, description="file with the password of MP_NATS_USER; empty: none")
    nats_tls_ca_file: Path | None = Field(None, description="PEM with the authorities that vouch for NATS")
    nats_tls_cert_file: Path | None = Field(None, description="PEM with our certificate for NATS")
    nats_tls_key_file: Path | None = Field(None, description="PEM with the key of our certificate")
    nats_tls_server_name: str = Field("", description="name in the certificate of NATS, where it is not its address")

    @model_validator(mode="after")
    def _nats_is_told_whole(self) -> Self:
        """One way to show who we are, and no part of one without the other."""
        password, key = _named(self.nats_password_file), _named(self.nats_tls_key_file)
        if self.nats_user and not password:
            raise ValueError("MP_NATS_USER needs MP_NATS_PASSWORD_FILE, the file with its password")
        if password and not self.nats_user:
            raise ValueError("MP_NATS_PASSWORD_FILE needs MP_NATS_USER, the name whose password it is")
        if key and not _named(self.nats_tls_cert_file):
            raise ValueError("MP_NATS_TLS_KEY_FILE needs MP_NATS_TLS_CERT_FILE, the certificate of the key")
        ways = {
            "a user in MP_NATS_URL": "@" in self.nats_url,
            "MP_NATS_NKEY_SEED_FILE": _named(self.nats_nkey_seed_file),
            "MP_NATS_CREDS_FILE": _named(self.nats_creds_file),
            "MP_NATS_USER": self.nats_user,
        }
        given = [way for way, is_given in ways.items() if is_given]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)}: NATS takes one credential; leave one, and the others empty")
        return self

    def nats(self, user: str) -> NatsOptions:
        """Build the options of `user`. Its inboxes are its own once it shows who it is."""
        return NatsOptions(
            url=self.nats_url,
            user=user,
            nkey_seed_file=_named(self.nats_nkey_seed_file),
            creds_file=_named(self.nats_creds_file),
            login=self.nats_user,
            password_file=_named(self.nats_password_file),
            ca_file=_named(self.nats_tls_ca_file),
            cert_file=_named(self.nats_tls_cert_file),
            key_file=_named(self.nats_tls_key_file),
            server_name=self.nats_tls_server_name,
        )


class BusSettings(NatsSettings):
    """Settings of a service: the shard, its name, and its logs."""

    shard: Shard = Field("0", description="the shard this process works on")
    node: str = Field(default_factory=socket.gethostname, description="name of this process in logs and leases")
    log_level: Annotated[Literal["debug", "info", "warning", "error"], _Lower] = Field(
        "info", description="debug, info, warning or error"
    )
    log_format: Annotated[Literal["json", "console"], _Lower] = Field("json", description="json or console")


class ProvisionSettings(NatsSettings):
    """Settings for making streams, once: `python -m mpservice provision` and `python -m mprelay --rebuild`."""

    shard: Shard = Field("0", description="the shard this process works on")
    replicas: int = Field(1, ge=1, le=5, description="copies of each stream")


class OpsSettings(BusSettings):
    """Settings of every long-running service: the address of its ops door (`context/operations/readiness.md`)."""

    ops_host: str = Field("127.0.0.1", description="address of the ops door: health and metrics, for operators alone")
    ops_port: int = Field(0, ge=0, le=65_535, description="its port; 0: no such door")


class PostgresSettings(BaseSettings):
    """The address of PostgreSQL, of each service that has a role there."""

    model_config = FROM_ENVIRONMENT

    postgres_dsn: SecretDsn = Field(description="PostgreSQL, as the role of this service: mp_ and its name")
    postgres_password_file: Path | None = Field(None, description="file with its password, where the DSN names none")

    @cached_property
    def dsn(self) -> str:
        """The DSN with its password. Raises `Unusable` when the password's file cannot be read."""
        return with_password(self.postgres_dsn.get_secret_value(), self.postgres_password_file)


class FileCredentials(CredentialProvider):
    """A name, and a password that stands in a file."""

    def __init__(self, user: str, file: Path) -> None:
        self._user, self._file = user, file

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        """Return user and password as they are now. Raises `AuthenticationError`, which we treat as Redis away."""
        try:
            password = self._file.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise AuthenticationError(f"our password for Redis cannot be read: {error}") from error
        if not password:
            raise AuthenticationError(f"our password for Redis in {self._file} is empty")
        return (self._user, password) if self._user else (password,)

    async def get_credentials_async(self) -> tuple[str] | tuple[str, str]:
        """The same: a small file is read at once. (The library's own would warn at every connection.)"""
        return self.get_credentials()


class RedisSettings(BaseSettings):
    """The address of Redis and our identity there."""

    model_config = FROM_ENVIRONMENT

    redis_url: str = Field("redis://127.0.0.1:6379/0", description="Redis or Valkey; `rediss://` asks for TLS")
    redis_user: str = Field("", description="name to say to Redis with the password")
    redis_password_file: Path | None = Field(None, description="file with the password for Redis; empty: none")
    redis_tls_ca_file: Path | None = Field(None, description="PEM with the authorities that vouch for Redis")

    @model_validator(mode="after")
    def _redis_can_be_asked(self) -> Self:
        """Refuse now what the client would refuse at every connection: later it would look like Redis away."""
        if self.redis_user and not _named(self.redis_password_file):
            raise ValueError("MP_REDIS_USER needs MP_REDIS_PASSWORD_FILE, the file with its password")
        given: str | SecretStr | None = self.redis_url
        url = given.get_secret_value() if isinstance(given, SecretStr) else given
        if url is None:
            return self
        if _named(self.redis_tls_ca_file) and not url.startswith("rediss://"):
            raise ValueError("MP_REDIS_TLS_CA_FILE needs TLS: write MP_REDIS_URL with rediss://, or take the file away")
        try:
            parts = urlsplit(url)
            if parts.scheme != "unix" and not (parts.path.strip("/") or "0").isdecimal():
                raise ValueError(parts.path)
            Redis.from_url(url, **self.redis_options()).connection_pool.make_connection()  # type: ignore[no-untyped-call]
        except ValueError:
            # Its text may hold a password.
            raise ValueError(f"MP_REDIS_URL is no address of Redis: {_REDIS_FORM}") from None
        except (TypeError, RedisError) as error:
            raise ValueError(f"MP_REDIS_URL does not fit Redis's client: {error}") from None
        return self

    def redis_options(self) -> dict[str, Any]:
        """Options for `Redis.from_url` beside the address.

        The password is read when a connection is made: Redis is optional, so a file that cannot be read is no reason
        not to start, and another password counts from the next connection on.
        """
        # With these notifications, which Redis Enterprise alone sends, the client does not look whether a connection
        # that rested was ended by the server: the next command would fail.
        found: dict[str, Any] = {"maint_notifications_config": MaintNotificationsConfig(enabled=False)}
        if file := _named(self.redis_password_file):
            found["credential_provider"] = FileCredentials(self.redis_user, file)
        if ca_file := _named(self.redis_tls_ca_file):
            found["ssl_ca_certs"] = str(ca_file)
        return found


def secret_from(value: SecretStr | None, file: Path | None) -> str | None:
    """A secret as it stands in its file, else as it is given, None where neither is. Raises `Unusable`."""
    if file := _named(file):
        return _secret(file)
    return (value.get_secret_value() or None) if value is not None else None


def _secret(file: Path) -> str:
    try:
        found = file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Unusable(f"a password cannot be read: {error}") from error
    if not found:
        raise Unusable(f"the password in {file} is empty")
    return found


def _named(file: Path | None) -> Path | None:
    """Return None for an empty name, as an unset variable of a deployment gives it."""
    return file if file is not None and file.name else None


def with_password(dsn: str, file: Path | None) -> str:
    """A PostgreSQL address with the password from a file, where it names none itself. Raises `Unusable`.

    It stands before the host, though there is no user there: so it is shown nowhere an address is shown.
    """
    file = _named(file)
    if file is None:
        return dsn
    parts = urlsplit(dsn)
    credential, _, place = parts.netloc.rpartition("@")
    user, _, password = credential.partition(":")
    if password or dict(parse_qsl(parts.query)).get("password"):
        return dsn
    try:
        found = _secret(file)
    except Unusable as error:
        raise Unusable(f"for PostgreSQL, {error}") from error
    return parts._replace(netloc=f"{user}:{quote(found, safe='')}@{place}").geturl()


def secret(path: Path) -> bytes:
    """The secret in a file, for hashing or signing. Raises `Unusable` where it can be guessed."""
    try:
        found = path.read_bytes()
    except OSError as error:
        raise Unusable(f"the secret {path} cannot be read: {error.strerror}") from error
    if len(found.strip()) < SECRET_BYTES_MIN:
        what = "is too short" if found.strip() else "is empty"
        raise Unusable(
            f"the secret {path} {what}, {SECRET_BYTES_MIN} letters at least: put it back from where it is kept"
        )
    return found
