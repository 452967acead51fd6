"""Small records in few objects, and states that are packed: everything is found again, in an order of its own."""

import random
from collections import Counter

import pytest
from mpcore.domain.aggregates import AGGREGATES
from mpcore.domain.task.state import Task
from mpcore.state.packed import Item, PackedRecords
from mpcore.state.states import States
from mpschema.task import LinkKind, TaskState

FINISHED = frozenset({TaskState.DONE})


def item(key: int, body: bytes) -> Item:
    return key, body, None


def in_order(packed: PackedRecords, *loose: Item) -> list[tuple[int, bytes]]:
    return [each[:2] for piece in packed.in_order(loose, item) for each in piece]


@pytest.mark.parametrize("records", [0, 1, 31, 5_000])
def test_every_record_is_found_and_none_that_was_removed(records: int) -> None:
    dice, packed = random.Random(records), PackedRecords(16)
    bodies = {dice.getrandbits(128): dice.randbytes(dice.randrange(40)) for _ in range(records)}
    for key, body in bodies.items():
        packed.add(key, body)
    gone = set(list(bodies)[::3])
    for key in gone:
        packed.remove(key, bodies[key])
    assert {key: list(packed.find(key)) for key in bodies} == {
        key: [] if key in gone else [body] for key, body in bodies.items()
    }
    assert packed.count == len(bodies) - len(gone) == len(list(packed))


def test_records_of_one_key_are_found_in_the_order_in_which_they_came() -> None:
    packed = PackedRecords(8)
    for body in (b"b", b"a"):
        packed.add(7, body)
    assert list(packed.find(7)) == [b"b", b"a"]


def test_a_copy_stays_what_it_was() -> None:
    packed = PackedRecords(8)
    for key in range(100):
        packed.add(key, b"before")
    copy = packed.copy()
    for key in range(200):
        packed.add(key, b"after")
    assert Counter(body for _, body in copy) == {b"before": 100}


@pytest.mark.parametrize("records", [10, 140_000])
def test_the_order_does_not_tell_what_was_packed_nor_when(records: int) -> None:
    dice = random.Random(records)
    whole = [(dice.getrandbits(64), b"") for _ in range(records)]
    orders = []
    for loose in (0, records // 2):
        dice.shuffle(whole)
        packed = PackedRecords(8)
        for key, body in whole[loose:]:
            packed.add(key, body)
        orders.append(in_order(packed, *(item(*each) for each in whole[:loose])))
    assert orders[0] == orders[1]
    assert sorted(orders[0]) == sorted(whole)


def test_what_is_swept_is_gone_and_the_rest_stays() -> None:
    packed = PackedRecords(8)
    for key in range(1_000):
        packed.add(key, b"old" if key % 2 else b"new")
    at = 0
    while packed.sweep(at, lambda body: body == b"new") is not None:
        at += 1
    assert (at, packed.count) == (len(packed.buckets), 500)
    assert {body for _, body in packed} == {b"new"}


def done(name: str, version: int = 3) -> Task:
    return Task(name, version, "core", "board", TaskState.DONE, offered=True, links=((LinkKind.BLOCKS, "t2"),), fence=7)


def test_a_packed_state_reads_as_before() -> None:
    states, live = States(Task), Task("live", 1, "core", None, TaskState.DRAFT)
    states["live"], states["t1"] = live, done("t1")
    states.pack_all(FINISHED)
    assert (states["t1"], states.get("t1"), "t1" in states, len(states), bool(states)) == (
        done("t1"),
        done("t1"),
        True,
        2,
        True,
    )
    assert dict(states.items()) == {"live": live, "t1": done("t1")} == {name: states[name] for name in states}
    assert (states.get("nothing"), "nothing" in states) == (None, False)
    with pytest.raises(KeyError):
        states["nothing"]


def test_a_packed_state_that_changes_is_read_as_it_is_now_and_once() -> None:
    states = States(Task)
    states["t1"] = done("t1")
    states.pack_all(FINISHED)
    states["t1"] = done("t1", 4)
    for _ in range(2):
        frozen = [state for piece in states.frozen().in_order() for _, _, state in piece]
        assert [states["t1"]] == list(states.values()) == frozen == [done("t1", 4)]
        assert len(states) == 1
        states.pack_all(FINISHED)


def test_a_state_of_which_all_is_said_is_packed_and_one_that_is_too_large_is_left() -> None:
    states = States(Task)
    states["large"] = Task("large", 1, "p", None, TaskState.DONE, links=((LinkKind.BLOCKS, "x" * 70_000),))
    states["full"] = Task("full", 9, "p", "b", TaskState.DONE, True, (), 3, "user:a", "s1", 60, 12, True)
    before = dict(states.items())
    states.pack_all(FINISHED)
    assert dict(states.items()) == before
    assert list(dict.keys(states)) == ["large"]


def test_each_aggregate_that_finishes_says_by_which_events() -> None:
    for each in AGGREGATES:
        assert bool(each.finished) == bool(each.finishing), each.name
        assert set(each.finishing) <= set(each.evolve), each.name
