"""Short storms for every run of the tests; `make chaos` has the long ones."""

import itertools
import subprocess
import sys
from collections import Counter
from pathlib import Path
from random import Random

import pytest
from mpd.ports import free_port

from tests.chaos.__main__ import summary
from tests.chaos.ports import own_ports
from tests.chaos.storm import Order, PromiseBroken, deal, storm
from tests.chaos.terrains import ONE_NODE, POOLED, TERRAINS, THREE_NODES, Terrain


async def test_a_short_storm_breaks_no_promise(tmp_path: Path) -> None:
    report = await storm(tmp_path, Order(ONE_NODE, faults=6, seed=20))
    assert report.faults == 6
    assert report.commands > 60


async def test_two_that_die_at_once_are_started_again_and_nothing_is_lost(tmp_path: Path) -> None:
    together = frozenset({"two_at_once", "server_killed_while_another_starts"})
    await storm(tmp_path, Order(ONE_NODE, faults=4, seed=8, only=together))


@pytest.mark.parametrize("fault", ["clock_set", "every_clock_set", "redis_gone", "redis_reached_by_some"])
async def test_clocks_that_are_set_and_redis_that_is_away_break_no_promise(tmp_path: Path, fault: str) -> None:
    await storm(tmp_path, Order(ONE_NODE, faults=1, seed=5, only=frozenset({fault})))


@pytest.mark.parametrize(
    "fault", ["line_that_kills", "stream_filled_with_repeats", "ten_large_cancels", "flood_of_junk", "key_revoked"]
)
async def test_what_one_caller_does_to_the_line_stops_nobody_else(tmp_path: Path, fault: str) -> None:
    await storm(tmp_path, Order(ONE_NODE, faults=1, seed=9, only=frozenset({fault})))


async def test_with_one_of_three_nodes_lost_commands_are_answered(tmp_path: Path) -> None:
    await storm(tmp_path, Order(THREE_NODES, faults=1, seed=3, only=frozenset({"node_lost"})))


def test_a_full_disk_loses_nothing_and_mends_by_itself() -> None:
    """In a process of its own: it mounts small disks where nobody else sees them, or says that it cannot."""
    storm_of_one = ["--terrain", "small-disks", "--faults", "1", "--seed", "4", "--only", "log_disk_full"]
    command = [sys.executable, "-m", "tests.chaos", *storm_of_one]
    done = subprocess.run(command, capture_output=True, text=True, timeout=150, check=False)
    assert done.returncode == 0, done.stdout[-8_000:] + done.stderr[-8_000:]
    assert "no promise broken" in done.stdout


@pytest.mark.needs("pgbouncer")
async def test_with_a_pooler_that_dies_and_sleeps_no_promise_is_broken(tmp_path: Path) -> None:
    pooler = frozenset({"pooler_killed", "pooler_frozen"})
    await storm(tmp_path, Order(POOLED, faults=3, seed=6, only=pooler))


async def test_a_foreign_message_that_is_mended_breaks_no_promise(tmp_path: Path) -> None:
    await storm(tmp_path, Order(ONE_NODE, faults=1, seed=12, only=frozenset({"foreign_message_mended"})))


async def test_strangers_and_idle_readers_at_the_door_break_no_promise(tmp_path: Path) -> None:
    door = frozenset({"strangers_flood_the_door", "headers_without_end", "streams_left_unread"})
    report = await storm(tmp_path, Order(ONE_NODE, faults=3, seed=13, only=door))
    assert report.counts == dict.fromkeys(door, 1)


@pytest.mark.parametrize("terrain", TERRAINS.values(), ids=lambda terrain: terrain.name)
def test_a_storm_of_as_many_faults_as_there_are_kinds_meets_them_all(terrain: Terrain) -> None:
    for seed in range(20):
        met = list(itertools.islice(deal(terrain.faults, Random(seed)), len(terrain.faults)))
        assert set(met) == set(terrain.faults)


def test_the_same_seed_deals_the_same_faults_and_weights_count_after_the_first_round() -> None:
    kinds, weights = len(ONE_NODE.faults), sum(ONE_NODE.faults.values())
    first, again = (list(itertools.islice(deal(ONE_NODE.faults, Random(7)), kinds + weights)) for _ in range(2))
    assert first == again
    assert Counter(first[kinds:]) == Counter(ONE_NODE.faults)


def test_two_runs_at_once_have_ports_of_their_own(tmp_path: Path) -> None:
    with own_ports(tmp_path) as (first, last):
        taken = {free_port() for _ in range(20)}
        with own_ports(tmp_path) as (first_of_other, last_of_other):
            assert last < first_of_other or last_of_other < first
            assert first_of_other <= free_port() <= last_of_other
    assert all(first <= port <= last for port in taken)


def test_the_summary_names_every_kind_of_fault_also_those_that_did_not_come() -> None:
    order = Order(POOLED, 2, 1, frozenset({"pooler_killed", "pooler_frozen"}))
    assert summary([order], [{"pooler_killed": 2}]) == [
        "2 faults of 2 kinds, 1 of them not met:",
        "       0 pooler_frozen",
        "       2 pooler_killed",
    ]


def test_a_fault_nobody_knows_is_refused() -> None:
    with pytest.raises(ValueError, match="one-node knows no bad_luck: leader_killed"):
        _ = Order(ONE_NODE, 1, 1, frozenset({"bad_luck"})).choice


def test_a_broken_promise_says_how_to_see_it_again() -> None:
    told = str(PromiseBroken(Order(THREE_NODES, 100, 7), 37, "node_lost", "--- nats-1"))
    assert "again: python -m tests.chaos --terrain three-nodes --seed 7 --faults 37\n" in told
    assert "python -m tests.chaos --terrain three-nodes --seed 7 --faults 20 --only node_lost" in told
