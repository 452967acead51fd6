"""The settings of a kernel, read once at the start."""

from pathlib import Path
from typing import Annotated, Literal

from mpservice.settings import OpsSettings, RedisSettings
from mpservice.values import operators
from pydantic import Field, field_validator
from pydantic_settings import NoDecode


class KernelSettings(OpsSettings, RedisSettings):
    """The environment variables of a kernel, each with the prefix `MP_`."""

    lease: Literal["redis", "jetstream"] = Field(
        "redis", description="redis: JetStream keeps the leader's lease, Redis makes its hand-over quick; or no Redis"
    )
    lease_ttl_seconds: float = Field(2.0, le=60, description="a dead leader is replaced after this time; at least 1")
    clock_bound_seconds: float = Field(
        5.0, ge=1, le=60, description="a kernel whose clock is further from the NATS server's does not lead"
    )
    operators: Annotated[tuple[str, ...], NoDecode] = Field(
        ("user:root",), description="principals with operator rights everywhere, comma separated"
    )
    turn_budget_ms: int = Field(
        20, ge=1, le=1_000, description="so long a turn decides before it is stored, in milliseconds; the rest waits"
    )
    snapshot_every: int = Field(
        100_000, ge=0, description="events between two snapshots, more in a large state; 0: none"
    )
    signing_key_file: Path | None = Field(
        None, description="Ed25519 key that signs checkpoints: PEM, or its 32-byte seed in hex; none: unsigned"
    )

    @field_validator("lease_ttl_seconds")
    @classmethod
    def _countable(cls, value: float) -> float:
        if value < 1:
            raise ValueError(f"the lease must last at least 1 second, not {value:g}: JetStream counts whole seconds")
        return value

    @field_validator("signing_key_file", mode="before")
    @classmethod
    def _named(cls, value: object) -> object:
        return value or None

    @field_validator("operators", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return operators(value) if isinstance(value, str) else value
