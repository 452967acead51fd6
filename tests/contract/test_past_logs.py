"""A log written by a past release means to this build what it meant then: this is what a rolling upgrade rests on."""

from __future__ import annotations

import copy
import hashlib
import json
from pathlib import Path

import pytest
from mpcore.access.policy import RoleAuthorizer
from mpcore.engine.shard import Shard
from mpcore.engine.snapshot import Frozen, state_root, thaw
from mpcore.engine.turn import Turn
from mpcore.engine.undo import Undo
from mpcore.state.facts import Fact
from mpoperator.backup.verification import verify
from mpschema.registry import EVENTS
from mpschema.system import LeaderElected

from tests.contract.past_logs import Recorder, commits_of, past_logs, read_models

NO_ROWS = hashlib.sha256(b"[]").hexdigest()
"""Of a table that a view gained: a log of before has nothing for it."""
each_log = pytest.mark.parametrize("folder", past_logs(), ids=lambda folder: folder.name)


@each_log
async def test_it_verifies_and_folds_to_the_state_it_had(folder: Path) -> None:
    verified = await verify(folder)
    assert verified.backup.seq >= 70, "as many events as the first log had types, at least"


@each_log
def test_its_read_models_are_the_same_rows_unless_a_view_has_a_new_version(folder: Path) -> None:
    then = json.loads((folder / "views.json").read_text())
    for name, now in read_models(folder).items():
        if name in then and then[name]["version"] == now["version"]:
            gained = dict.fromkeys(now["tables"].keys() - then[name]["tables"].keys(), NO_ROWS)
            assert then[name]["tables"] | gained == now["tables"], f"{name} shows other rows: raise its version"


@each_log
def test_a_kernel_of_this_build_takes_over_and_a_snapshot_keeps_everything(folder: Path) -> None:
    shard = Shard()
    for commit in commits_of(folder):
        shard.fold(commit.header, commit.records)
    assert state_root(thaw(b"".join(Frozen(shard).chunks()))) == state_root(shard)
    epoch = shard.world.epoch + 1
    turn = Turn(shard, epoch, shard.world.time_ms, RoleAuthorizer())
    elected = LeaderElected(leader_epoch=epoch, node="kernel-2", operators=("user:root",))
    turn.note(Fact("log", "log", elected), f"election_{epoch}:0")
    assert turn.seal("0" * 64).header.epoch == shard.world.epoch == epoch


@each_log
def test_whatever_stands_in_it_can_be_undone(folder: Path) -> None:
    shard = Shard()
    for commit in commits_of(folder):
        before, derived = state_root(shard), copy.deepcopy(_derived(shard))
        undo = Undo(shard)
        for record in commit.records:
            undo.replaced.append((record, shard.fold_record(record)))
        undo.run()
        assert (state_root(shard), _derived(shard)) == (before, derived), commit.records
        shard.fold(commit.header, commit.records)


def _derived(shard: Shard) -> object:
    indexes = {name: tenant.indexes for name, tenant in shard.world.tenants.items()}
    return indexes, shard.world.deadlines.due_of


def test_every_event_type_stands_in_a_past_log() -> None:
    found = {record.event_type for folder in past_logs() for commit in commits_of(folder) for record in commit.records}
    assert set(EVENTS) - found == set(), "record another: python -m tests.contract.past_logs NAME"


def test_the_story_is_decided_as_it_was_when_it_was_last_recorded() -> None:
    newest = max(past_logs(), key=lambda folder: int(folder.name.partition("-")[0]))
    recorder = Recorder()
    recorder.tell()
    then = [line for commit in commits_of(newest) for line in commit.lines]
    now = [line for commit in recorder.commits for line in commit.lines]
    assert now == then, "the same commands become other facts: is that meant? Then tell users, and record another log"
