"""What every service that speaks to NATS is told from outside."""

import socket

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class BusSettings(BaseSettings):
    """Read from the environment, each name with the prefix `MP_`."""

    model_config = SettingsConfigDict(env_prefix="MP_")

    nats_url: str = Field("nats://127.0.0.1:4222", description="NATS servers, comma separated")
    shard: str = Field("0", description="the shard this process works on")
    node: str = Field(default_factory=socket.gethostname, description="name of this process in logs and leases")
    replicas: int = Field(1, ge=1, le=5, description="copies of each stream")
    log_level: str = Field("info", description="debug, info, warning or error")
    log_format: str = Field("json", description="json or console")
    otlp_endpoint: str = Field("", description="OTLP/HTTP collector for traces; empty: no traces")
