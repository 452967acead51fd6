"""Two folds that part are traced to an event and a field; a state is lines that compare whatever their shape."""

from __future__ import annotations

import msgspec
import pytest
from mpcli.exits import Exit
from mpcore.engine.shard import Shard
from mpoperator.replay.divergence import ABSENT, DivergenceTracker, Same, State, divergence, fields_apart
from mpoperator.replay.states import LOG, StateKey, digest, digests, key_of, lines, log_state, plain, state_of

from services.projector.tests.log_story import LogStory


class _Inner(msgspec.Struct):
    tags: frozenset[str]
    pairs: dict[int, tuple[int, ...]]


@pytest.mark.parametrize(
    ("ours", "theirs", "apart"),
    [
        ({"a": 1, "version": 1}, {"a": 1, "version": 1}, []),
        ({"a": 1, "version": 1}, {"a": 2, "version": 2}, ["a", "version"]),
        ({"z": 1, "version": 1}, {"version": 2, "b": 1}, ["b", "z", "version"]),
        (None, {"a": 1}, ["a"]),
        ({"a": None}, {}, ["a"]),
        (None, None, []),
    ],
)
def test_fields_that_differ_are_named_and_the_version_last(ours: State, theirs: State, apart: list[str]) -> None:
    assert fields_apart(ours, theirs) == apart


def _blamed(theirs: State, *states: State) -> dict[str, int]:
    tracker = DivergenceTracker(theirs)
    for seq, state in enumerate(states, 1):
        tracker.look(state, seq)
    return {field: seq for seq, field in tracker.verdicts()}


def test_a_field_that_was_right_is_blamed_on_the_event_with_which_it_left() -> None:
    assert _blamed({"a": 1}, {"a": 1}, {"a": 2}, {"a": 3}) == {"a": 2}
    assert _blamed({"a": 1}, {"a": 1}, {"a": 2}, {"a": 1}, {"a": 4}) == {"a": 4}, "the last time counts"


def test_a_field_that_never_was_right_is_blamed_on_its_last_change() -> None:
    assert _blamed({"a": 9}, {"a": 1}, {"a": 2}, {"a": 2}) == {"a": 2}


def test_what_agrees_in_the_end_is_blamed_on_nothing() -> None:
    assert _blamed({"a": 2}, {"a": 1}, {"a": 2}) == {}


def test_a_look_says_whether_something_changed() -> None:
    tracker = DivergenceTracker({})
    assert [tracker.look(state, 1) for state in ({"a": 1}, {"a": 1}, None, None)] == [True, False, True, False]


def test_a_divergence_ends_as_disproved_and_shows_both_sides() -> None:
    record = LogStory(5).records(1)[0]
    found = divergence(
        record, StateKey("task", "acme", "t1"), "state", ({"state": "done"}, None), exact=False, agreed=3, differing=2
    )
    assert (found.ending, found.ours, found.theirs) == (Exit.DISPROVED, "done", ABSENT)
    assert found.told().endswith("(inferred from a later state)")
    assert ["aggregate", "task acme t1"] in found.details()
    assert Same(at_seq=4, compared=2).ending is Exit.OK


def test_a_state_is_plain_values_in_an_order_of_their_own() -> None:
    value = _Inner(frozenset({"b", "a"}), {2: (1, 2)})
    assert plain(value) == {"tags": ["a", "b"], "pairs": {"2": [1, 2]}}
    assert digest(plain(value)) == digest({"pairs": {"2": [1, 2]}, "tags": ["a", "b"]})


def test_an_empty_shard_is_the_line_of_its_log() -> None:
    shard = Shard()
    (line,) = lines(shard)
    assert (line.key, line.state) == (StateKey(LOG, "", ""), log_state(shard))
    assert state_of(shard, line.key) == line.state
    assert state_of(shard, StateKey("task", "nowhere", "t1")) is None
    assert digests([line]) == {line.key: digest(line.state)}


def test_an_event_names_the_line_that_it_changes() -> None:
    record = LogStory(5).records(1)[0]
    assert key_of(record) == StateKey(record.aggregate, record.workspace_id, record.aggregate_id)
    assert str(StateKey(LOG, "", "")) == "log"
