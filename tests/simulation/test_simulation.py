"""Every seed is a storm of its own, and no promise is broken in any of them.

More seeds: `python -m tests.simulation --seeds 10000`. One of them again: `python -m tests.simulation --seed N`.
"""

from collections import Counter

import pytest

from tests.simulation.running import simulate

SEEDS = 150


@pytest.mark.parametrize("seed", range(SEEDS))
def test_no_promise_is_broken(seed: int) -> None:
    simulate(seed)


def test_a_seed_is_the_same_storm_every_time() -> None:
    first, again = simulate(7), simulate(7)
    assert first.history == again.history
    assert first.faults == again.faults


def test_the_storms_are_storms() -> None:
    faults: Counter[str] = sum((simulate(seed).faults for seed in range(40)), Counter())
    expected = {"crash before the write", "crash after the write", "acknowledgement lost", "answer lost", "slept"}
    assert expected <= set(faults)
    assert faults["leases forgotten"] > 0
