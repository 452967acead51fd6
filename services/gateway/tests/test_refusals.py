"""Counting of denials: each counts once, answered or read, for its sender in its workspace."""

from __future__ import annotations

import tracemalloc

import pytest
from mpbus.reader import Commit
from mpgateway.auth.refusals import DENIED, Refusals
from mpgateway.problems import RequestRefused
from mpschema import codec
from mpschema.envelope import CommitHeader
from mpschema.registry import record_of
from mpschema.rejections import Code
from mpschema.system import CommandRejected
from mpviews.denials import Denial, denials

NAME = "user:vera"
MORE = 2


def _commit(first_seq: int, workspace_id: str, count: int) -> Commit:
    header = CommitHeader(
        epoch=1,
        first_seq=first_seq,
        count=count,
        time_ms=0,
        previous_hash=codec.GENESIS_HASH,
        command_position=0,
    )
    event = CommandRejected(code=Code.DENIED, detail="no", command_type="task.create")
    envelope = {"workspace_id": workspace_id, "aggregate_id": "t", "version": 1, "actor": NAME}
    seqs = range(first_seq, first_seq + count)
    records = [record_of(event, seq=seq, id=f"c{seq}:0", time_ms=0, epoch=1, **envelope) for seq in seqs]
    data = codec.encode_commit(header, records)
    return Commit(first_seq, "mp.v1.log.0", data, "h" * 64, *codec.split_commit(data))


def _blocked(refusals: Refusals, workspace_id: str) -> bool:
    try:
        refusals.check_denied(workspace_id, NAME)
    except RequestRefused:
        return True
    return False


def test_a_denial_is_found_with_its_place_its_workspace_and_its_sender() -> None:
    assert list(denials(_commit(7, "acme", 2).body)) == [Denial(7, "acme", NAME), Denial(8, "acme", NAME)]


def test_denials_of_a_namesake_elsewhere_block_nobody_here() -> None:
    refusals = Refusals(None)
    refusals.extend([_commit(1, "elsewhere", DENIED.burst * MORE)])
    assert (_blocked(refusals, "elsewhere"), _blocked(refusals, "acme")) == (True, False)


@pytest.mark.parametrize("answered_first", [True, False], ids=["answered first", "read first"])
def test_a_denial_that_is_answered_and_read_counts_once(answered_first: bool) -> None:
    refusals, half = Refusals(None), DENIED.burst * 3 // 4
    commits = [_commit(1, "acme", half)]
    if not answered_first:
        refusals.extend(commits)
    for seq in range(1, half + 1):
        refusals.count_denied(Denial(seq, "acme", NAME))
    if answered_first:
        refusals.extend(commits)
    assert not _blocked(refusals, "acme")
    refusals.extend([_commit(half + 1, "acme", half)])
    assert _blocked(refusals, "acme")


def test_what_was_denied_before_this_process_knew_all_blocks_nobody() -> None:
    refusals = Refusals(None)
    refusals.extend([_commit(1, "acme", DENIED.burst * MORE)], old=True)
    assert not _blocked(refusals, "acme")


def test_what_was_answered_is_forgotten_in_the_end_where_the_log_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mpgateway.auth.refusals.ANSWERED_MAX", 1_000)
    refusals, many = Refusals(None), 20_000
    tracemalloc.start()
    for seq in range(1, 1_001):
        refusals.count_denied(Denial(seq, "acme", NAME))
    before, _ = tracemalloc.get_traced_memory()
    for seq in range(1_001, many):
        refusals.count_denied(Denial(seq, "acme", NAME))
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert after - before < 200_000
