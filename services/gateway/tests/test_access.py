"""The gateway's access state, and the time for which it counts when NATS is away."""

from __future__ import annotations

import time
from typing import cast

import pytest
from mpbus.connect import BusClient
from mpbus.options import NatsOptions
from mpbus.reader import LogReader
from mpbus.vitals import Vital
from mpgateway.auth.access import LOST_SECONDS, Access
from mpgateway.auth.refusals import Refusals

NO_LOG = cast("LogReader", None)
"""These tests read no log."""


@pytest.mark.parametrize(("seconds", "lost"), [(LOST_SECONDS / 2, False), (LOST_SECONDS + 1, True)])
def test_the_time_without_nats_counts_from_the_loss_and_not_from_the_first_look(seconds: float, lost: bool) -> None:
    nats = BusClient(NatsOptions("nats://127.0.0.1:1"), Vital("nats"))
    access = Access(nats, NO_LOG, "0", frozenset(), Refusals(None))
    assert not access.lost
    nats.lost_at = time.monotonic() - seconds
    assert access.lost is lost
