"""Two samples to one screen: how fast everything moves, how far everything is behind. Pure."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from mpviews.standing import BuildRow, standing

from mpoperator.top.samples import Sample
from mpoperator.top.screen import Projection, Screen, ServiceStatus

_SLOW = "mp_gateway_streams_ended_total{reason=slow}"


def screen_of(shard: str, before: Sample, now: Sample) -> Screen:
    """Return the screen of the second of two samples, with the rates between them."""
    seconds = max(now.at - before.at, 1e-3)
    projections = None if now.projections is None else [_projection(row, now.seq) for row in now.projections]
    return Screen(
        shard=shard,
        leader=now.leader,
        epoch=now.epoch,
        seq=now.seq,
        stream_seq=now.stream_seq,
        events_per_second=_rate(before.seq, now.seq, seconds),
        commits_per_second=_rate(before.stream_seq, now.stream_seq, seconds),
        commands_per_second=_counted_rate(before, now, "kernel", "mp_kernel_commands_total", seconds),
        commands_in_flight=_whole(now.total("gateway", "mp_gateway_commands_in_flight")),
        intake_pending=now.pending,
        intake_taken=now.taken,
        feed_seq=now.feed_seq,
        feed_lag=None if now.feed_seq is None or now.seq is None else max(0, now.seq - now.feed_seq),
        streams=_whole(now.total("gateway", "mp_gateway_streams")),
        stream_events_per_second=_counted_rate(before, now, "gateway", "mp_gateway_stream_events_total", seconds),
        slow_drops=_whole(now.total("gateway", _SLOW)),
        rate_limited=_whole(now.total("gateway", "mp_gateway_rate_limited_total")),
        parked=_whole(now.total("webhooks", "mp_webhooks_parked_keys")),
        webhooks_behind=_whole(now.total("webhooks", "mp_webhooks_lag_events")),
        redis=now.redis,
        projections=projections,
        halted=[each.name for each in projections or () if each.state == "halted"],
        services=[ServiceStatus(name=name, state=_state(ready)) for name, ready in now.ready.items()],
        unknown=now.unknown,
    )


def _projection(row: dict[str, Any], head: int | None) -> Projection:
    told = BuildRow(**{field.name: row[field.name] for field in fields(BuildRow)})
    stands = standing(told, head)
    return Projection(
        name=str(row["name"]) if row["phase"] == "serving" else f"{row['name']} {row['build']} {row['phase']}",
        version=int(str(row["version"])),
        state=stands.state,
        position=told.position,
        lag_events=None if head is None else stands.lag_events,
        lag_seconds=stands.lag_seconds,
        rate=float(str(row["rate"])),
        owner=str(row["owner"]),
        error=str(row["error"]),
    )


def _state(ready: bool | None) -> str:
    return "away" if ready is None else "ready" if ready else "not ready"


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)


def _rate(before: float | None, now: float | None, seconds: float) -> float | None:
    """Per second; a counter that began anew says nothing for a moment."""
    if before is None or now is None or now < before:
        return None
    return round((now - before) / seconds, 1)


def _counted_rate(before: Sample, now: Sample, kind: str, name: str, seconds: float) -> float | None:
    return _rate(before.total(kind, name), now.total(kind, name), seconds)
