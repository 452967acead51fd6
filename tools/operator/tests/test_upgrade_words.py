"""The state of an upgrade says who is in the way, and with which command the way is free."""

from __future__ import annotations

import pytest
from mpcli.exits import Exit
from mpoperator.upgrade import Finalized, ServiceFeatureLevel, UpgradeStatus


def _service(name: str, reads: int | None) -> ServiceFeatureLevel:
    return ServiceFeatureLevel(name=name, answers=reads is not None, reads_level=reads, role="")


def _status(at: int, newest: int, *obstacles: str) -> UpgradeStatus:
    return UpgradeStatus(shard="0", log_level=at, newest_level=newest, services=(), obstacles=obstacles)


@pytest.mark.parametrize(
    ("reads", "said"),
    [
        (None, "kernel-1 does not answer: start it, or say that it is gone for good: --without kernel-1"),
        (2, "kernel-1 reads up to level 2: upgrade it first"),
        (3, ""),
        (4, ""),
    ],
)
def test_a_service_is_in_the_way_until_it_reads_the_level(reads: int | None, said: str) -> None:
    assert _service("kernel-1", reads).obstacle(3) == said


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (_status(3, 3), "the log of shard 0 is at feature level 3, the newest"),
        (_status(2, 3), "the log of shard 0 is at feature level 2 of 3: mpctl upgrade finalize raises it"),
        (_status(2, 3, "a", "b"), "the log of shard 0 is at feature level 2 of 3: 2 services are in the way"),
    ],
)
def test_a_status_says_what_comes_next(status: UpgradeStatus, said: str) -> None:
    assert (status.told(), status.ending) == (said, Exit.OK)
    assert [line[1] for line in status.details()] == list(status.obstacles)


def test_a_log_that_was_there_already_is_said_to_be() -> None:
    assert Finalized(shard="0", level=3, was=3, seq=None).told().endswith("is at feature level 3 already")
    assert Finalized(shard="0", level=3, was=2, seq=1_204).told().endswith("at feature level 3 from event 1,204 on")
