"""What every service that speaks to NATS is told from outside."""

import re
import socket
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from mpbus.options import NatsOptions


class NatsSettings(BaseSettings):
    """Where NATS is and who we are there. Read from the environment, each name with the prefix `MP_`.

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
        """How `user`, one of `mpbus.identities`, connects. Its inboxes are its own as soon as it shows who it is."""
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
    """What a service is told beside that."""

    shard: str = Field("0", description="the shard this process works on")
    node: str = Field(default_factory=socket.gethostname, description="name of this process in logs and leases")
    replicas: int = Field(1, ge=1, le=5, description="copies of each stream")
    log_level: str = Field("info", description="debug, info, warning or error")
    log_format: str = Field("json", description="json or console")
    otlp_endpoint: str = Field("", description="OTLP/HTTP collector for traces; empty: no traces")


class OpsSettings(BusSettings):
    """Of every service that runs on: where its ops door is (`context/operations/readiness.md`)."""

    ops_host: str = Field("127.0.0.1", description="address of the ops door: health and metrics, for operators alone")
    ops_port: int = Field(0, ge=0, le=65_535, description="its port; 0: no such door")


class RedisSettings(BaseSettings):
    """Where Redis is and who we are there."""

    model_config = SettingsConfigDict(env_prefix="MP_")

    redis_url: str = Field("redis://127.0.0.1:6379/0", description="Redis or Valkey; `rediss://` asks for TLS")
    redis_user: str = Field("", description="name to say to Redis with the password")
    redis_password_file: Path | None = Field(None, description="file with the password for Redis; empty: none")
    redis_tls_ca_file: Path | None = Field(None, description="PEM with the authorities that vouch for Redis")

    def redis_options(self) -> dict[str, Any]:
        """Options for `Redis.from_url` beside the address. Raises `OSError` when the password's file cannot be read."""
        found: dict[str, Any] = {}
        if file := _named(self.redis_password_file):
            found["password"] = file.read_text().strip()
            if self.redis_user:
                found["username"] = self.redis_user
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
    """A PostgreSQL address with the password from a file, where it names none itself. Raises `OSError`."""
    file = _named(file)
    if file is None:
        return dsn
    scheme, separator, rest = dsn.partition("://")
    user, at, place = rest.rpartition("@")
    if not at or ":" in user:
        return dsn
    return f"{scheme}{separator}{user}:{quote(file.read_text().strip(), safe='')}@{place}"
