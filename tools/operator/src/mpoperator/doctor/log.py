"""The newest part of the log, verified: a flaw there halts every reader."""

from __future__ import annotations

from mpbus.errors import ChainBroken
from mpbus.reader import GENESIS, LogPosition, LogReader, verify
from mpschema import subjects
from mpschema.codec import LevelTooHigh

from mpoperator.doctor.report import DoctorCheck, follows, ok, problem, unknown
from mpoperator.doctor.tail import MENDING
from mpoperator.site.cluster import Cluster

_LOOKED_AT = 64
"""Newest commits that are verified; all of them is what `mpctl log verify` does."""
_MEND = "mpctl log mend ./kept (see context/operations/foreign-message.md)"


async def log_checks(cluster: Cluster) -> list[DoctorCheck]:
    """The newest commits, each against the one before it."""
    if cluster.nc is None:
        return [unknown("log chain", "NATS does not answer", because="nats")]
    info = await cluster.stream(subjects.log_stream(cluster.shard))
    if info is None:
        return [unknown("log chain", "there is no log stream", because=f"stream {subjects.log_stream(cluster.shard)}")]
    last = int(info["state"]["last_seq"])
    reader = LogReader(cluster.nc, cluster.shard)
    first = max(1, last - _LOOKED_AT + 1)
    try:
        before = await reader.commit_at(first - 1) if first > 1 else None
        position: LogPosition = before.position if before else GENESIS
        for stream_seq in range(first, last + 1):
            commit = await reader.commit_at(stream_seq)
            if commit is None:
                return [problem("log chain", f"commit {stream_seq} is missing", "mpctl log verify")]
            position = verify(position, stream_seq, commit.subject, commit.data, commit.hash).position
    except ChainBroken as error:
        return [follows(problem("log chain", f"every reader halts: {error}", _MEND), MENDING)]
    except LevelTooHigh as error:
        return [problem("log chain", str(error), "use mpctl of the newer release")]
    return [ok("log chain", f"its newest {last - first + 1} commits verify, to event {position.seq:,}")]
