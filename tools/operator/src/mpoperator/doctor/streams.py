"""The streams, compared with what `mpbus.streams` says they should be; who consumes them, and how full they are."""

from __future__ import annotations

from typing import Any

import msgspec
from mpbus.accounts import ABOUT_US, NOBODYS_ACCOUNT, STREAMS_ACCOUNT
from mpbus.connect import shows_who_it_is
from mpbus.errors import PermissionsViolation
from mpbus.ingest import ingest_of
from mpbus.streams import COMMAND_BYTES_MAX, COMMAND_MESSAGES_MAX, INTAKE_CONSUMER, SNAPSHOT_STREAM, intake_consumer
from mpbus.streams import command_stream as command_config
from mpbus.streams import feed_stream as feed_config
from mpbus.streams import lease_stream as lease_config
from mpbus.streams import log_stream as log_config
from mpschema import subjects
from nats.aio.client import Client
from nats.js import api

from mpoperator.doctor.report import DoctorCheck, follows, ok, problem, unknown, warning
from mpoperator.doctor.tail import LOG, MENDING, newest, only_then
from mpoperator.site.cluster import WAIT_SECONDS, Cluster

_PAGE = "see context/operations/credentials.md"
_UNLIMITED = {
    "max_msgs": -1,
    "max_bytes": -1,
    "max_age": 0,
    "compression": "none",
    "mirror": None,
    "sources": None,
    "republish": None,
    "subject_transform": None,
}
"""The values of settings that ours leave open."""
_FIXED = {"retention", "storage", "sealed", "mirror"}
"""The settings that nobody can change in a stream that is there."""
_REPLICATED = 3
"""Copies a stream should have where there are nodes for them."""
_CONSUMERS_MAX, _CONSUMERS_WARN = 1_000, 0.5
"""The limit of nats-server for a stream where nothing else is set (`default_max_consumers`)."""
_SNAPSHOTS_LOST = "nobody reads snapshots, or whether a mending was begun"
_BACKLOG_WARNS = 0.5
_FEED_LAG_WARNS = 10_000


async def stream_checks(cluster: Cluster) -> list[DoctorCheck]:
    """Of every stream of the shard, and of the intake's consumer."""
    if cluster.nc is None:
        return [unknown("streams", "NATS does not answer", because="nats")]
    shard = cluster.shard
    checks = [await _apart(cluster.nc)]
    for config in (
        _log_config(shard, await cluster.stream(subjects.log_stream(shard))),
        command_config(shard, 1),
        feed_config(shard, 1),
        lease_config(1),
    ):
        info = await cluster.stream(str(config.name))
        if info is None:
            checks.append(_missing(cluster, str(config.name)))
            continue
        checks.append(_settings(cluster, config, info))
        if config.name == subjects.log_stream(shard):
            checks.append(_ingest(cluster, config))
        checks.append(await _copies(cluster, str(config.name), info))
    counts = {name: await _consumers_of(cluster, name) for name in (subjects.log_stream(shard), SNAPSHOT_STREAM)}
    return [*checks, judge_readers(counts, cluster.module("mpservice provision --end-readers"))]


async def _consumers_of(cluster: Cluster, name: str) -> int:
    """Return the number of a stream's consumers; none where it is not there, which other lines say."""
    info = await cluster.stream(name)
    return int(info["state"]["consumer_count"]) if info else 0


def judge_readers(counts: dict[str, int], mend: str) -> DoctorCheck:
    """Judge the numbers of streams' consumers: NATS gives each so many, and whoever comes then reads nothing."""
    many = {name: count for name, count in counts.items() if count >= _CONSUMERS_MAX * _CONSUMERS_WARN}
    each = ", ".join(f"{count:,} consumers of {name}" for name, count in (many or counts).items())
    detail = f"{each}, and NATS allows each {_CONSUMERS_MAX:,}"
    if not many:
        return ok("readers", detail)
    lost = [_SNAPSHOTS_LOST if name == SNAPSHOT_STREAM else "nobody reads the log, or leads" for name in many]
    told = problem if max(many.values()) >= _CONSUMERS_MAX else warning
    return told("readers", f"{detail}: beyond that {', and '.join(lost)}", mend)


async def _apart(nc: Client) -> DoctorCheck:
    """Look whether the streams are in another account than ours: in the same one, who may read may delete."""
    name, mend = "streams apart", f"let nats-server read the accounts that `mpd keys --dir DIR` makes; {_PAGE}"
    if not shows_who_it_is(nc):
        return ok(name, "NATS asks nobody who they are")
    try:
        answer = msgspec.json.decode((await nc.request(ABOUT_US, b"", timeout=WAIT_SECONDS)).data)
    except PermissionsViolation:
        return problem(name, f"NATS refuses {ABOUT_US}: its users are older than this release", mend)
    account = str(answer["data"].get("account", NOBODYS_ACCOUNT))
    if account in (NOBODYS_ACCOUNT, STREAMS_ACCOUNT):
        return problem(name, f"they are in our account, {account}: whoever may read the log may delete it", mend)
    return ok(name, f"we are in the account {account}, the streams in another")


async def intake_checks(cluster: Cluster) -> list[DoctorCheck]:
    """Of the command stream's consumer, and of what waits there."""
    name = subjects.command_stream(cluster.shard)
    info = await cluster.stream(name) if cluster.nc else None
    if info is None:
        return [unknown("intake", "there is no command stream to look at", because=_why_not(cluster, name))]
    consumer = await cluster.api(f"CONSUMER.INFO.{name}.{INTAKE_CONSUMER}")
    if "error" in consumer:
        return [problem("intake", f"{name} has no consumer {INTAKE_CONSUMER}", cluster.module("mpservice provision"))]
    return [_consumer(cluster, consumer), _backlog(info)]


async def feed_checks(cluster: Cluster) -> list[DoctorCheck]:
    """Look how far the feed is behind the log."""
    name = subjects.feed_stream(cluster.shard)
    info = await cluster.stream(name) if cluster.nc else None
    if info is None:
        return [unknown("feed", "there is no feed to look at", because=_why_not(cluster, name))]
    head = await newest(cluster)
    last, end = info["state"]["last_seq"], head.position.seq if head else 0
    mend = cluster.serve("relay")
    if last > end:
        detail = f"goes on to event {last:,}, the log ends with {end:,}: it is of another log, or the log lost its end"
        return [follows(problem("feed", detail, only_then(cluster.module("mprelay --rebuild"))), LOG)]
    if end - last > _FEED_LAG_WARNS or (end and not last):
        return [warning("feed", f"is at event {last:,} of {end:,}: no relay runs, or it is slow", mend)]
    return [ok("feed", f"at event {last:,} of {end:,}")]


def _why_not(cluster: Cluster, stream: str) -> str:
    return f"stream {stream}" if cluster.nc else "nats"


def _log_config(shard: str, info: dict[str, Any] | None) -> api.StreamConfig:
    """Return the log stream's due settings, on the subjects it takes commits on: these are no matter of settings."""
    if info is None:
        return log_config(shard, 1)
    heard = info["config"].get("subjects") or []
    ingest = ingest_of(api.StreamConfig(subjects=heard), shard)
    return log_config(shard, 1, ingest, also_plain=subjects.log_subject(shard) in heard)


def _ingest(cluster: Cluster, config: api.StreamConfig) -> DoctorCheck:
    """Look whether the log listens where nobody can guess. The place itself is shown to nobody."""
    name, plain = "log ingest", subjects.log_subject(cluster.shard)
    if plain not in (config.subjects or ()):
        return ok(name, "the log takes commits where nobody can guess")
    if cluster.nc is None or not shows_who_it_is(cluster.nc):
        return ok(name, f"the log takes commits on {plain}: NATS asks nobody who they are")
    detail = f"the log takes commits on {plain}, too: any credential can stop the shard"
    mend = cluster.module("mpservice provision")
    return warning(name, detail, f"`{mend}`, once the log is at feature level 3 (`mpctl upgrade finalize`)")


def _missing(cluster: Cluster, name: str) -> DoctorCheck:
    mend = cluster.module("mpservice provision")
    lost = name == subjects.log_stream(cluster.shard)
    if lost:
        mend = f"in a new installation: `{mend}`; if it was there and is lost: `mpctl backup restore DIR`"
    return follows(problem(f"stream {name}", "does not exist", mend), MENDING if lost else "")


def _settings(cluster: Cluster, config: api.StreamConfig, info: dict[str, Any]) -> DoctorCheck:
    name, found = str(config.name), info["config"]
    wanted = _UNLIMITED | {key: _plain(value) for key, value in config.as_dict().items() if key != "num_replicas"}
    wrong = [key for key, value in sorted(wanted.items()) if not _same(found.get(key), value)]
    if not wrong:
        return ok(f"stream {name}", "settings are as they should be")
    detail = "; ".join(f"{key} is {_shown(found.get(key))}, should be {_shown(wanted[key])}" for key in wrong)
    return problem(f"stream {name}", detail, _mend_settings(cluster, name, set(wrong), int(found["num_replicas"])))


def _mend_settings(cluster: Cluster, name: str, wrong: set[str], replicas: int) -> str:
    if not wrong & _FIXED:
        return cluster.module("mpservice provision", **({"MP_REPLICAS": str(replicas)} if replicas > 1 else {}))
    again = cluster.module("mpservice provision")
    if name == subjects.log_stream(cluster.shard):
        anew = "`mpctl backup create DIR`, then `mpctl backup restore DIR` into a new cluster"
        return f"{anew}: it cannot be changed in place"
    return f"stop the kernels and gateways, then: `nats stream rm -f {name} && {again}`"


async def _copies(cluster: Cluster, name: str, info: dict[str, Any]) -> DoctorCheck:
    """A log of several copies wants them all; several nodes want several copies."""
    label, copies = f"copies {name}", int(info["config"]["num_replicas"])
    peers = (info.get("cluster") or {}).get("replicas") or []
    away = [peer["name"] for peer in peers if peer.get("offline") or not peer.get("current")]
    if away:
        return problem(label, f"{', '.join(away)} does not hold the newest", "nats server report jetstream")
    if len(peers) < copies - 1:  # The leader is none of its own peers.
        return problem(label, f"{len(peers) + 1} of {copies} are there so far", "nats server report jetstream")
    mend = cluster.module("mpservice provision", MP_REPLICAS=str(_REPLICATED))
    return judge_copies(label, copies, await _nodes(cluster, info), mend)


def judge_copies(name: str, copies: int, nodes: int | None, mend: str) -> DoctorCheck:
    """Look whether a stream has the copies that so many nodes allow."""
    if nodes is None:
        return unknown(name, f"{copies}; how many nodes there are is not known: set MP_NATS_MONITOR_URL")
    if copies < _REPLICATED <= nodes:
        return problem(name, f"{copies} on {nodes} nodes: it is lost with its node", mend)
    return ok(name, f"{copies} on {nodes} node{'s' if nodes > 1 else ''}")


async def _nodes(cluster: Cluster, info: dict[str, Any]) -> int | None:
    if not (info.get("cluster") or {}).get("name"):
        return 1
    jsz = await cluster.monitor("/jsz")
    size = ((jsz or {}).get("meta_cluster") or {}).get("cluster_size")
    return int(size) if size else None


def _consumer(cluster: Cluster, info: dict[str, Any]) -> DoctorCheck:
    wanted = {key: value for key, value in intake_consumer().as_dict().items() if value}
    found = info["config"]
    wrong = [key for key, value in sorted(wanted.items()) if not _same(found.get(key), _plain(value))]
    if wrong:
        detail = "; ".join(
            f"{key} is {_shown(found.get(key))}, should be {_shown(_plain(wanted[key]))}" for key in wrong
        )
        return problem("intake consumer", detail, cluster.module("mpservice provision"))
    return ok(
        "intake consumer", f"{info['num_pending']:,} pending, {info['num_ack_pending']:,} taken and not committed"
    )


def _backlog(info: dict[str, Any]) -> DoctorCheck:
    messages, size = info["state"]["messages"], info["state"]["bytes"]
    share = max(messages / COMMAND_MESSAGES_MAX, size / COMMAND_BYTES_MAX)
    detail = f"{messages:,} messages wait ({share:.0%} of what fits)"
    if share > _BACKLOG_WARNS:
        return warning("intake backlog", f"{detail}: soon commands are answered 429", "`mpctl top` shows what decides")
    return ok("intake backlog", detail)


def _same(found: object, wanted: object) -> bool:
    return (found or None) == (wanted or None)


def _plain(value: Any) -> Any:
    return getattr(value, "value", value)


def _shown(value: object) -> str:
    return "not set" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
