"""Advice for what does not run works: with mpd running, stopped, or absent."""

from __future__ import annotations

import json
import os
from pathlib import Path

import httpx
import pytest
from mpoperator.site.cluster import Cluster
from mpoperator.site.settings import OperatorSettings

from tools.operator.tests.advice import must_parse


def cluster(folder: Path | None) -> Cluster:
    services = {"kernel-1": "http://127.0.0.1:1"}
    return Cluster(OperatorSettings(nats_url="nats://nobody", data_dir=folder, services=services), httpx.AsyncClient())


def advice(found: Cluster) -> list[str]:
    """All that may be said of a process, a service, the tables and a statement."""
    said = [found.start("postgres"), found.serve("kernel"), found.serve("relay")]
    return [*said, found.migrate, found.sql("ALTER ROLE mp_gateway LOGIN")]


def test_a_running_mpd_starts_what_ended_and_is_started_anew_for_what_it_does_at_its_start(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text(json.dumps({"pid": os.getpid()}))
    process, kernel, relay, tables, _ = advice(cluster(tmp_path))
    assert process == f"mpd starts it again by itself: `mpd logs postgres --data {tmp_path}` says why it ended"
    assert "`mpd logs kernel-1" in kernel
    # It was started without a relay, and makes tables when it starts: a running mpd refuses a second start.
    assert relay == tables == f"mpd stop --data {tmp_path} && mpd start --detach --data {tmp_path}"


def test_a_stopped_mpd_is_started(tmp_path: Path) -> None:
    *said, _ = advice(cluster(tmp_path))
    assert set(said) == {f"mpd start --detach --data {tmp_path}"}


def test_without_mpd_the_programs_are_named() -> None:
    _, kernel, relay, tables, statement = advice(cluster(None))
    assert kernel.endswith("MP_NATS_URL=nats://nobody python -m mpkernel")
    assert relay.endswith("python -m mprelay")
    assert tables.endswith("python -m mpprojector migrate")
    assert statement == "python -m mpoperator.sql 'ALTER ROLE mp_gateway LOGIN'"


@pytest.mark.parametrize("running", [True, False, None])
def test_what_is_advised_parses(tmp_path: Path, running: bool | None) -> None:
    if running:
        (tmp_path / "state.json").write_text(json.dumps({"pid": os.getpid()}))
    for each in advice(cluster(None if running is None else tmp_path)):
        must_parse(each)


@pytest.mark.parametrize("told", ["mpctl projection rebuilt work", "do it, then mpctl log verify", "`mpd log nats`"])
def test_what_does_not_parse_is_found(told: str) -> None:
    with pytest.raises((AssertionError, SystemExit)):
        must_parse(told)
