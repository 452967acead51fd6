"""Promises that must hold after a storm, whatever the seed. Each failure names what was broken."""

from mpbus.reader import Commit
from mpcore.domain.session.index import sessions
from mpcore.domain.session.state import LIVE
from mpcore.domain.sweep.index import sweeps
from mpcore.engine.shard import Shard
from mpcore.engine.snapshot import state_root
from mpschema.levels import PACKS_LEVEL, SPLIT_LEVEL
from mpschema.rejections import Code
from mpschema.system import CommandRejected, FeatureLevelRaised, LogCheckpointed
from mpstore.snapshots.sealed import open_snapshot
from mpviews import VIEWS
from mpviews.access import AccessSlice, concerning, open_part
from mpviews.rows import Dump, fresh_fold, in_order

from tests.simulation.world import CLOCK_BOUND_SECONDS, World
from tests.support.history import check_history, check_rows
from tests.support.load import audit

WHOLE = "lines go beyond a commit"
"""The reason in the refusal of a whole message."""
LATE_STORED_SECONDS = 30.0
"""The longest way of a decided turn into the log, in seconds: nodes sleep meanwhile."""


async def check(world: World) -> None:
    """Log and answers, state and snapshots, read models."""
    commits = await world.all_commits()
    audit([record for commit in commits for record in commit.records], world.acknowledged)
    events = check_history(commits, world.acknowledged)
    _check_time(commits, world.log.stamps)
    _check_order(commits, world.stored)
    _check_garbage(commits, world.garbage)
    _check_level(commits)
    _count(commits, world)
    fresh = _check_checkpoints(commits)
    _check_follow_ups(commits, fresh)
    _check_access(world.snapshots.access, commits)
    _check_snapshot(await world.snapshots.load(), commits, state_root(fresh))
    rows = _dump(world)
    assert rows == fresh_fold(commits), "the read models are not what the log folds to"
    check_rows(events, rows)


def _check_time(commits: list[Commit], stamps: list[int]) -> None:
    """Recorded time never goes back, and stays near the true time, whatever clocks are set to (G14)."""
    last = 0
    for commit, stamp in zip(commits, stamps, strict=True):
        recorded = commit.header.time_ms
        assert recorded >= last, f"time goes back at commit {commit.stream_seq}"
        ahead = recorded / 1e3 - stamp / 1e9
        assert ahead < CLOCK_BOUND_SECONDS + 1, f"commit {commit.stream_seq} is dated {ahead:.1f} s ahead"
        assert ahead > -CLOCK_BOUND_SECONDS - LATE_STORED_SECONDS, f"commit {commit.stream_seq} is {-ahead:.1f} s late"
        last = recorded


def _check_order(commits: list[Commit], stored: list[tuple[str, str]]) -> None:
    """Commands are decided in the order of their stream, and none that it never held.

    A line that was refused unread is none, nor is one of a message that was refused as a whole: its command is decided
    when it is asked for again.
    """
    unread = {r.command_id.removeprefix("unreadable_") for c in commits for r in c.records if r.digest is None}
    whole = {
        r.command_id.split("_")[1]
        for c in commits
        for r in c.records
        if isinstance(r.event, CommandRejected) and WHOLE in r.event.detail
    }
    first = dict.fromkeys(
        command_id for place, command_id in stored if place not in unread and place.split("_")[0] not in whole
    )
    decided = [record.command_id for commit in commits for record in commit.records if record.digest is not None]
    known = set(decided)
    assert decided == [command_id for command_id in first if command_id in known], "not in the stream's order"


def _check_garbage(commits: list[Commit], garbage: set[int]) -> None:
    """Check that what no producer sent leaves nothing.

    Kernels that ended while they met it are the exception: then it is refused unread.
    Below its level a service's is recorded. The level may rise within a commit, whose header says what it rose to.
    """
    level = commits[0].header.feature_level if commits else 0
    for record in (record for commit in commits for record in commit.records):
        if isinstance(record.event, FeatureLevelRaised):
            level = record.event.level
        if record.command_id.startswith("unreadable_") and isinstance(record.event, CommandRejected):
            position = int(record.command_id.split("_")[1])
            recorded = level < PACKS_LEVEL or record.event.code is Code.UNDECIDABLE
            assert recorded or position not in garbage, record.command_id


def _count(commits: list[Commit], world: World) -> None:
    """Add to the faults what the kernel met, and what shows in the log alone."""
    for commit in commits:
        world.faults["swept"] += sum(record.name == "SweepAdvanced" for record in commit.records)
        world.faults["message split"] += commit.header.command_line > 0
        refused = [r.event for r in commit.records if isinstance(r.event, CommandRejected)]
        world.faults["decision too large"] += sum("fit into a commit" in event.detail for event in refused)
        world.faults["message too large"] += sum(WHOLE in event.detail for event in refused)
        raised = any(isinstance(r.event, FeatureLevelRaised) for r in commit.records)
        world.faults["level raised"] += raised and commit.stream_seq > 1


def _check_level(commits: list[Commit]) -> None:
    """Below a feature level nothing is written that its builds cannot read."""
    for commit in commits:
        level = commit.header.feature_level
        new = [r.name for r in commit.records if r.event.since_level > level]
        assert not new, f"commit {commit.stream_seq} at feature level {level} holds {new}"
        split = b'"command_line"' in commit.data.split(b"\n", 1)[0]
        assert level >= SPLIT_LEVEL or not split, (
            f"commit {commit.stream_seq} at feature level {level} splits a message"
        )


def _check_checkpoints(commits: list[Commit]) -> Shard:
    """Each recorded state root is that of a fold from the start; the shard at the end."""
    recorded = {
        r.event.at_seq: r.event.state_root for c in commits for r in c.records if isinstance(r.event, LogCheckpointed)
    }
    shard = Shard()
    for commit in commits:
        shard.fold(commit.header, commit.records)
        expected = recorded.pop(commit.position.seq, None)
        assert expected is None or state_root(shard) == expected, f"state root at {commit.position.seq}"
    assert not recorded, "checkpoints name positions inside a commit"
    return shard


def _check_snapshot(data: bytes | None, commits: list[Commit], root: str) -> None:
    """The newest snapshot, and the rest of the log after it, lead where the whole log leads."""
    opened = open_snapshot(data or b"{}\n", "simulated")
    if opened is None:
        return
    shard, position = opened
    for commit in commits[position.stream_seq :]:
        shard.fold(commit.header, commit.records)
    assert state_root(shard) == root, f"the snapshot at {position.seq} leads elsewhere"


def _check_follow_ups(commits: list[Commit], shard: Shard) -> None:
    """No follow-up was refused; at rest nothing is left to be swept, and who lives has live parents."""
    refused = [record.event for commit in commits for record in commit.records if record.name == "FollowUpRefused"]
    assert not refused, refused[0]
    for tenant in shard.world.tenants.values():
        assert not sweeps(tenant).running, "a sweep does not end"
        known = sessions(tenant).by_id
        live = [session for session in known.values() if session.state in LIVE]
        orphans = [session.id for session in live if any(known[above].state not in LIVE for above in session.lineage)]
        assert not orphans, f"they outlive what is above them: {orphans}"


def _check_access(data: bytes | None, commits: list[Commit]) -> None:
    """Check that a gateway's fold equals that of the whole log.

    It begins at the newest slice, and reads what concerns it alone.
    """
    opened = open_part(data or b"{}\n")
    if opened is None:
        return
    begun, position = opened
    fresh = AccessSlice()
    for commit in commits:
        fresh.fold_all(commit.records)
    for commit in commits[position.stream_seq :]:
        for record in concerning(commit.body):
            begun.fold(record)
        begun.seq = commit.position.seq
    known, expected = ({name: getattr(it, name) for name in AccessSlice.__slots__} for it in (begun, fresh))
    assert known == expected, f"the access slice at {position.seq} leads elsewhere"


def _dump(world: World) -> Dump:
    """Return every row, as a database would give them."""
    tables = [table for view in VIEWS.values() for table in view.tables]
    return {
        table.name: in_order(
            table,
            (dict(zip(table.key, key, strict=True)) | values for key, values in world.store.rows[table.name].items()),
        )
        for table in tables
    }
