"""The doctor reads from the log's elections how often the leader changed, and what time passed before."""

import asyncio
from collections.abc import Sequence

import pytest
from mpcore.access.policy import RoleAuthorizer
from mpcore.engine.shard import Shard
from mpcore.engine.turn import Turn
from mpcore.state.facts import Fact
from mpoperator.doctor.elections import Election, elections, judge_elections, judge_jump, tried_line
from mpoperator.doctor.report import DoctorCheck, State
from mpschema import codec, subjects
from mpschema.base import Event
from mpschema.system import LOG, LeaderElected, LineSurvived, LineTried, LogCheckpointed
from mpstore.log.memory import MemoryLog

NOW = 1_790_000_000
DAY = 86_400


async def log_of(*elected_at: int) -> MemoryLog:
    """A log with an election so many seconds before now, each with two commits after it."""
    log, shard = MemoryLog(), Shard()
    for epoch, ago in enumerate(elected_at, 1):
        facts = [LeaderElected(leader_epoch=epoch, node="k1"), *[LogCheckpointed(at_seq=1, head="", state_root="")] * 2]
        for index, fact in enumerate(facts):
            position = await log.head()
            turn = Turn(shard, epoch, (NOW - ago) * 1_000, RoleAuthorizer())
            turn.note(Fact(LOG, LOG, fact), f"fact_{epoch}_{index}:0")
            sealed = turn.seal(position.hash)
            commit_hash = codec.commit_hash(position.hash, subjects.log_subject("0"), sealed.data)
            await log.append(sealed.data, commit_hash, position, 1.0)
    return log


async def read(log: MemoryLog) -> list[Election]:
    """Return the elections that the doctor reads of it."""
    return [each async for each in elections(log, log.commits[-1], NOW)]


def test_elections_are_read_as_far_back_as_ten_minutes() -> None:
    found = asyncio.run(_read(3_000, 900, 500, 300))
    assert [each.epoch for each in found] == [4, 3, 2]
    assert found[0].silence_ms == 200_000


async def _read(*elected_at: int) -> list[Election]:
    return await read(await log_of(*elected_at))


@pytest.mark.parametrize(("count", "state"), [(0, State.OK), (5, State.OK), (6, State.WARNING), (30, State.PROBLEM)])
def test_many_elections_are_named(count: int, state: State) -> None:
    check = judge_elections("0", [Election(epoch, 0, 0) for epoch in range(count)])
    assert check.state is state
    assert str(count) in check.detail
    assert "leader.stepped_down" in check.mend or state is State.OK


def test_a_leap_of_recorded_time_is_told() -> None:
    newest = asyncio.run(_read(3 * DAY, 60))[0]
    check = judge_jump(newest)
    assert check.state is State.WARNING
    assert "nothing was recorded for 3.0 days" in check.detail


def tried_by(*processes: str) -> list[list[Event]]:
    """An election, and a try of the same line, by each."""
    found: list[list[Event]] = []
    for epoch, process in enumerate(processes, 1):
        found += [[LeaderElected(leader_epoch=epoch, node=process)], [LineTried(position=7, line=2, process=process)]]
    return found


@pytest.mark.parametrize(
    ("commits", "state"),
    [
        (tried_by("a", "b"), State.PROBLEM),
        ([*tried_by("a", "b"), [LeaderElected(leader_epoch=3, node="c")]], State.PROBLEM),
        (tried_by("a"), State.WARNING),
        (
            [
                *tried_by("a", "b"),
                [LeaderElected(leader_epoch=3, node="a"), LineSurvived(position=7, line=2, process="a")],
            ],
            State.WARNING,
        ),
        ([*tried_by("a", "b"), [LogCheckpointed(at_seq=1, head="0" * 64, state_root="0" * 64)]], None),
        ([[LeaderElected(leader_epoch=1, node="a")]], None),
    ],
)
async def test_a_line_that_leaders_come_no_further_than_is_named(
    commits: list[list[Event]], state: State | None
) -> None:
    check = await tried_in([(6, 3 if isinstance(facts[0], LogCheckpointed) else 2, facts) for facts in commits])
    assert (check and check.state) == state
    assert check is None or "line 2 of message 7" in check.detail


async def test_tries_of_a_line_that_has_its_outcome_are_none_of_the_next_line() -> None:
    commits: list[tuple[int, int, list[Event]]] = [
        (6, 1, [LineTried(position=7, line=1, process="a")]),
        (6, 1, [LineTried(position=7, line=1, process="b")]),
        (6, 2, [LogCheckpointed(at_seq=1, head="0" * 64, state_root="0" * 64)]),
        (6, 2, [LineTried(position=7, line=2, process="c")]),
    ]
    check = await tried_in(commits)
    assert check is not None
    assert check.state is State.WARNING
    assert "line 2 of message 7 of the command stream was tried by 1 kernels" in check.detail


async def tried_in(commits: Sequence[tuple[int, int, Sequence[Event]]]) -> DoctorCheck | None:
    """Return the doctor's check of a log of such commits: how far each consumed, and what it holds."""
    log, shard = MemoryLog(), Shard()
    for number, (consumed, line, facts) in enumerate(commits):
        position = await log.head()
        turn = Turn(shard, 1 + number // 2, NOW * 1_000, RoleAuthorizer())
        shard.consume(consumed, line)
        for index, fact in enumerate(facts):
            turn.note(Fact(LOG, LOG, fact), f"fact_{number}_{index}:0")
        sealed = turn.seal(position.hash)
        commit_hash = codec.commit_hash(position.hash, subjects.log_subject("0"), sealed.data)
        await log.append(sealed.data, commit_hash, position, 1.0)
    return await tried_line(log, log.commits[-1])
