"""Changes of the leader, and the time in the log: read from the elections that the log holds."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

from mpbus.reader import Commit, Log, LogReader
from mpschema.system import LeaderElected, LineSurvived, LineTried

from mpoperator.doctor.report import DoctorCheck, follows, ok, problem, warning
from mpoperator.site.cluster import Cluster

WINDOW_MINUTES = 10
WARNS, FAILS = 6, 30
"""Elections in the window. Replacing a few kernels one by one takes one each; more than that is a fault."""
JUMP_SECONDS = 86_400
_JUMP_SHOWN_SECONDS = 7 * 86_400
_CLOCK = "timedatectl set-ntp true"
_AHEAD_WARNS_SECONDS = 1.0
_COMMITS_BACK = 20
"""Commits that a line without an outcome can lie back: each leadership that ends at it stores two."""
_LINE = "nothing: after three tries it is refused, and named in the log as `undecidable`; report it"


@dataclass(frozen=True)
class Election:
    """One election: when it was recorded, and for how long nothing had been before it."""

    epoch: int
    time_ms: int
    silence_ms: int


async def election_checks(cluster: Cluster, head: Commit) -> list[DoctorCheck]:
    """Elections of late, the time that is recorded, and each kernel's own word on its clock and its lease."""
    assert cluster.nc is not None
    now = time.time()
    found = [each async for each in elections(LogReader(cluster.nc, cluster.shard), head, now)]
    checks = [judge_elections(cluster.shard, [each for each in found if _age(each, now) < WINDOW_MINUTES * 60])]
    checks += [judge_jump(found[0])] if found and _jumped(found[0], now) else []
    ahead = head.header.time_ms / 1_000 - now
    if ahead > _AHEAD_WARNS_SECONDS:
        detail = f"the newest commit is dated {ahead:,.1f} s from now: recorded time goes on at 19/20 until it is right"
        checks.append(warning("clock kernel", detail, _CLOCK))
    if (tried := await tried_line(LogReader(cluster.nc, cluster.shard), head)) is not None:
        checks.append(tried)
    return checks + await _own_words(cluster)


async def tried_line(log: Log, head: Commit) -> DoctorCheck | None:
    """The line that leaders came no further than, while it has no outcome; None where there is none."""
    last: LineTried | None = None
    processes: set[str] = set()
    survived: set[str] = set()
    commit: Commit | None = head
    for _ in range(_COMMITS_BACK):
        if commit is None or (last is not None and _consumed(commit) != (last.position - 1, last.line)):
            break
        for event in [record.event for record in reversed(commit.records)]:
            if isinstance(event, LineTried):
                last = last or event
                processes |= {event.process} - survived
            elif isinstance(event, LineSurvived):
                survived.add(event.process)
        if last is None and not any(isinstance(record.event, LeaderElected) for record in commit.records):
            return None
        commit = await log.commit_at(commit.stream_seq - 1) if commit.stream_seq > 1 else None
    if last is None:
        return None
    detail = f"line {last.line} of message {last.position} of the command stream was tried by {len(processes)} kernels"
    told = problem if len(processes) > 1 else warning  # One may be at it just now.
    return told("line", f"{detail}, and has no outcome: it ends whoever decides it", _LINE)


def _consumed(commit: Commit) -> tuple[int, int]:
    return commit.header.command_position, commit.header.command_line


async def elections(log: Log, head: Commit, now: float) -> AsyncIterator[Election]:
    """The newest election, and those before it as far back as the window goes. Newest first."""
    last: Commit | None = head
    for _ in range(FAILS + 1):
        if last is None:
            return
        first = await _first_of(log, last)
        last = await log.commit_at(first.stream_seq - 1) if first.stream_seq > 1 else None
        silence = first.header.time_ms - last.header.time_ms if last else 0
        yield Election(first.header.epoch, first.header.time_ms, silence)
        if now - first.header.time_ms / 1_000 > WINDOW_MINUTES * 60:
            return


async def _first_of(log: Log, last: Commit) -> Commit:
    """The commit that began an epoch, found by halving: epochs never fall."""
    low, high, found = 1, last.stream_seq, last
    while low < high:
        middle = (low + high) // 2
        commit = await log.commit_at(middle)
        if commit is not None and commit.header.epoch == last.header.epoch:
            high, found = middle, commit
        else:
            low = middle + 1
    return found


def judge_elections(shard: str, recent: list[Election]) -> DoctorCheck:
    """Return the number of elections in the window."""
    count = len(recent)
    detail = f"{count} in the last {WINDOW_MINUTES} minutes"
    why = f"see why leaders end: grep leader.stepped_down in the kernels' logs (shard {shard})"
    if count >= FAILS:
        return problem("elections", f"{count} and more in {WINDOW_MINUTES} minutes: nobody leads for long", why)
    return warning("elections", detail, why) if count >= WARNS else ok("elections", detail)


def judge_jump(election: Election) -> DoctorCheck:
    """Everything that was due in a long silence passed at its end."""
    when = dt.datetime.fromtimestamp(election.time_ms / 1_000, dt.UTC).isoformat(timespec="seconds")
    days = election.silence_ms / 1_000 / 86_400
    detail = f"nothing was recorded for {days:,.1f} days before {when}: leases and deadlines of that time passed then"
    return warning("time", detail, f"was nothing running then? If something was, a clock was wrong: {_CLOCK}")


def _age(election: Election, now: float) -> float:
    return now - election.time_ms / 1_000


def _jumped(election: Election, now: float) -> bool:
    return election.silence_ms > JUMP_SECONDS * 1_000 and _age(election, now) < _JUMP_SHOWN_SECONDS


async def _own_words(cluster: Cluster) -> list[DoctorCheck]:
    """Return the kernels' words on their clocks and on the lease's keepers; nothing where both are well."""
    checks = []
    for name, url in cluster.settings.services.items():
        facts = await cluster.get_json(f"{url.rstrip('/')}/readyz") if name.startswith("kernel") else None
        for word in ("clock", "lease"):
            said = (facts or {}).get(word, "ok")
            if said != "ok":
                keeper = "valkey" if "redis" in str(said) else "nats"
                mend = _CLOCK if word == "clock" else cluster.start(keeper)
                told = problem if facts and not facts.get("ready") else warning
                check = told(f"{word} {name}", str(said), mend)
                checks.append(follows(check, "redis") if "redis" in str(said) else check)
    return checks
