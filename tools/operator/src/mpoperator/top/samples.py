"""One sample of everything that moves: what the bus, the database and the services' own doors say at a moment."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from mpbus.errors import BusError, ChainBroken
from mpbus.streams import INTAKE_CONSUMER
from mpschema import subjects
from mpschema.codec import MalformedCommit
from mpservice.database import DRIVER_ERRORS
from prometheus_client.parser import text_string_to_metric_families
from redis.exceptions import RedisError

from mpoperator.errors import said
from mpoperator.site.cluster import GONE, Cluster
from mpoperator.site.leases import deciding_holder

_PROJECTIONS = """
SELECT name, version, build, phase, state, position, lag_seconds, rate, coalesce(owner, '') AS owner,
    coalesce(error, '') AS error, head, coalesce(lease_until > now(), false) AS owned,
    extract(epoch FROM now() - updated_at)::float8 AS silent_seconds
FROM mp.projections ORDER BY phase = 'serving' DESC, name, build
"""


@dataclass(frozen=True)
class Figures:
    """The counts of one service."""

    values: dict[str, float]

    @classmethod
    def parse(cls, text: str) -> Figures:
        """From Prometheus text. Labels are part of the name: `mp_kernel_commands_total{status=accepted}`."""
        values: dict[str, float] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                labels = ",".join(f"{key}={value}" for key, value in sorted(sample.labels.items()))
                values[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
        return cls(values)

    def total(self, name: str) -> float:
        """The sum over all labels of one name."""
        return sum(value for key, value in self.values.items() if key == name or key.startswith(name + "{"))


@dataclass
class Sample:
    """Everything at one moment. What could not be learned is None, or missing, and named in `unknown`."""

    at: float = 0.0
    seq: int | None = None
    stream_seq: int | None = None
    epoch: int | None = None
    leader: str | None = None
    pending: int | None = None
    taken: int | None = None
    feed_seq: int | None = None
    redis: bool | None = None
    projections: list[dict[str, Any]] | None = None
    ready: dict[str, bool | None] = field(default_factory=dict)
    """Of each service whose address is known; None when it does not answer."""
    figures: dict[str, Figures] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)

    def total(self, kind: str, name: str) -> float | None:
        """The sum of a figure over all services of a kind; None when none of them tells."""
        found = [figures for service, figures in self.figures.items() if service.startswith(f"{kind}-")]
        return sum(figures.total(name) for figures in found) if found else None


async def take_sample(cluster: Cluster) -> Sample:
    """Ask everybody at once."""
    sample = Sample(at=time.monotonic())
    await asyncio.gather(
        _bus(cluster, sample), _database(cluster, sample), _redis(cluster, sample), _doors(cluster, sample)
    )
    return sample


async def _bus(cluster: Cluster, sample: Sample) -> None:
    if cluster.nc is None:
        sample.unknown.append(cluster.errors["nats"])
        return
    try:
        await _head(cluster, sample)
        command_stream = subjects.command_stream(cluster.shard)
        consumer = await cluster.api(f"CONSUMER.INFO.{command_stream}.{INTAKE_CONSUMER}")
        if "error" not in consumer:
            sample.pending, sample.taken = consumer["num_pending"], consumer["num_ack_pending"]
        feed = await cluster.stream(subjects.feed_stream(cluster.shard))
        sample.feed_seq = feed["state"]["last_seq"] if feed else None
        sample.leader = (await deciding_holder(cluster)).holder
    except (*GONE, BusError) as error:
        sample.unknown.append(f"NATS does not answer: {said(error)}")


async def _head(cluster: Cluster, sample: Sample) -> None:
    """A log that nobody can read is no server that is away."""
    try:
        head = await cluster.head()
    except (ChainBroken, MalformedCommit) as error:
        sample.unknown.append(f"the log cannot be read: {error}")
        return
    if head is not None:
        sample.seq, sample.stream_seq, sample.epoch = head.position.seq, head.stream_seq, head.header.epoch


async def _database(cluster: Cluster, sample: Sample) -> None:
    if cluster.database is None:
        sample.unknown.append(cluster.errors["postgres"])
        return
    try:
        sample.projections = [dict(row) for row in await cluster.database.fetch(_PROJECTIONS)]
    except DRIVER_ERRORS as error:
        sample.unknown.append(f"PostgreSQL: {said(error)}")


async def _redis(cluster: Cluster, sample: Sample) -> None:
    if cluster.redis is None:
        sample.redis = None if cluster.settings.redis_url is None else False
        sample.unknown.append(cluster.errors["redis"])
        return
    try:
        sample.redis = bool(await cluster.redis.ping())
    except (RedisError, OSError):
        sample.redis = False


async def _doors(cluster: Cluster, sample: Sample) -> None:
    services = cluster.settings.services
    if not services:
        sample.unknown.append("the services' operations addresses are not known: set MP_SERVICES")
    await asyncio.gather(*(_door(cluster, sample, name, url.rstrip("/")) for name, url in services.items()))
    _sort(sample, services)


async def _door(cluster: Cluster, sample: Sample, name: str, url: str) -> None:
    facts, text = await asyncio.gather(cluster.get_json(f"{url}/readyz"), cluster.get_text(f"{url}/metrics"))
    sample.ready[name] = None if facts is None else bool(facts.get("ready", facts.get("status") == "ok"))
    if text is not None:
        sample.figures[name] = Figures.parse(text)


def _sort(sample: Sample, names: Iterable[str]) -> None:
    """In the order of the settings, whoever answered first."""
    sample.ready = {name: sample.ready[name] for name in names}
