"""What every service that speaks to NATS is told from outside."""

import re
import socket
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict
from redis.credentials import CredentialProvider
from redis.exceptions import AuthenticationError
from redis.maint_notifications import MaintNotificationsConfig

from mpbus.errors import Unusable
from mpbus.options import NatsOptions

SECRET_BYTES_MIN = 32
"""What is shorter can be guessed, or was cut off."""


class NatsSettings(BaseSettings):
    """The address of NATS and our identity there. Read from the environment, each name with the prefix `MP_`.

    Secrets are named by their files: what stands in an address is shown in logs and lists of processes.
    """

    model_config = SettingsConfigDict(env_prefix="MP_")

    nats_url: str = Field("nats://127.0.0.1:4222", description="NATS servers, comma separated")
    nats_nkey_seed_file: Path | None = Field(None, description="file with the seed of our nkey; empty: no nkey")
    nats_creds_file: Path | None = Field(None, description="file with a JWT and its seed (`.creds`); empty: none")
    nats_user: str = Field("", description="name to say with the password")
    nats_password_file: Path | None = Field(None, description="file with the password of MP_NATS_USER; empty: none")
    nats_tls_ca_file: Path | None = Field(None, description="PEM with the authorities that vouch for NATS")
    nats_tls_cert_file: Path | None = Field(None, description="PEM with our certificate for NATS")
    nats_tls_key_file: Path | None = Field(None, description="PEM with the key of our certificate")
    nats_tls_server_name: str = Field("", description="name in the certificate of NATS, where it is not its address")

    def nats(self, user: str) -> NatsOptions:
        """Build the options of `user`, one of `mpbus.identities`. Its inboxes are its own once it shows who it is."""
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
    """Settings of a service beside that."""

    shard: str = Field("0", description="the shard this process works on")
    node: str = Field(default_factory=socket.gethostname, description="name of this process in logs and leases")
    replicas: int = Field(1, ge=1, le=5, description="copies of each stream")
    log_level: str = Field("info", description="debug, info, warning or error")
    log_format: str = Field("json", description="json or console")


class OpsSettings(BusSettings):
    """Of every service that runs on: where its ops door is (`context/operations/readiness.md`)."""

    ops_host: str = Field("127.0.0.1", description="address of the ops door: health and metrics, for operators alone")
    ops_port: int = Field(0, ge=0, le=65_535, description="its port; 0: no such door")


class FileCredentials(CredentialProvider):
    """A name, and a password that stands in a file."""

    def __init__(self, user: str, file: Path) -> None:
        self._user, self._file = user, file

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        """Both as they are now. Raises `AuthenticationError`, which is Redis being away for us."""
        try:
            password = self._file.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise AuthenticationError(f"our password for Redis cannot be read: {error}") from error
        return (self._user, password) if self._user else (password,)

    async def get_credentials_async(self) -> tuple[str] | tuple[str, str]:
        """The same: a small file is read at once. (The library's own would warn at every connection.)"""
        return self.get_credentials()


class RedisSettings(BaseSettings):
    """The address of Redis and our identity there."""

    model_config = SettingsConfigDict(env_prefix="MP_")

    redis_url: str = Field("redis://127.0.0.1:6379/0", description="Redis or Valkey; `rediss://` asks for TLS")
    redis_user: str = Field("", description="name to say to Redis with the password")
    redis_password_file: Path | None = Field(None, description="file with the password for Redis; empty: none")
    redis_tls_ca_file: Path | None = Field(None, description="PEM with the authorities that vouch for Redis")

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
    """A secret as it stands in its file, else as it is given. Raises `OSError`."""
    if file := _named(file):
        return file.read_text().strip()
    return value.get_secret_value() if value is not None else None


def redacted(url: str) -> str:
    """An address as it may be shown: without what stands before the `@`."""
    return re.sub(r"//[^,]*@", "//***@", url)


def _named(file: Path | None) -> Path | None:
    """None for an empty name, as an unset variable of a deployment gives it."""
    return file if file is not None and file.name else None


def with_password(dsn: str, file: Path | None) -> str:
    """A PostgreSQL address with the password from a file, where it names none itself. Raises `Unusable`."""
    file = _named(file)
    if file is None:
        return dsn
    scheme, separator, rest = dsn.partition("://")
    user, at, place = rest.rpartition("@")
    if not at or ":" in user:
        return dsn
    try:
        password = file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Unusable(f"the password for PostgreSQL cannot be read: {error}") from error
    return f"{scheme}{separator}{user}:{quote(password, safe='')}@{place}"


def secret(path: Path) -> bytes:
    """What a file holds under which something is hashed or signed. Raises `Unusable` where it can be guessed."""
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
