"""Moments, folders, lists and examples are read and written the same way by every tool."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from mpcli.context import Context, Misconfigured
from mpcli.home import client_file, data_folder, operator_file
from mpcli.invocation import Invocation, example
from mpcli.moments import NoMoment, read_moment
from mpcli.progress import meter
from mpcli.projections import halts


@pytest.mark.parametrize("text", ["2026-07-30T12:00:00Z", "2026-07-30T14:00:00+02:00", "2026-07-30 12:00:00.000Z"])
def test_a_moment_with_its_zone_is_read(text: str) -> None:
    assert read_moment(text) == dt.datetime(2026, 7, 30, 12, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("yesterday", "'yesterday' is no time: write 2026-07-30T12:00:00Z"),
        ("", "'' is no time"),
        ("2026-07-30T12:00:00", "names no time zone: write 2026-07-30T12:00:00Z for UTC"),
    ],
)
def test_what_is_no_moment_says_how_one_is_written(text: str, said: str) -> None:
    with pytest.raises(NoMoment, match=said):
        read_moment(text)


def test_an_installation_is_where_the_environment_says_else_at_home() -> None:
    assert data_folder({"MP_HOME": "/data", "HOME": "/home/ada"}) == Path("/data")
    home = {"MP_HOME": "", "HOME": "/people/ada"}
    assert client_file(home) == Path("/people/ada/.moduprompt/client.json")
    assert operator_file(home) == Path("/people/ada/.moduprompt/operator.json")


def test_a_cause_that_halts_many_is_told_once() -> None:
    told = halts([("tasks", "bad event 7"), ("boards", "disk full"), ("channels", "bad event 7")])
    assert told == ["projections tasks, channels halted: bad event 7", "projection boards halted: disk full"]


def test_an_example_can_be_pasted() -> None:
    assert example("task", "create", "--title", "it's two words") == "mpctl task create --title 'it'\"'\"'s two words'"


def test_a_run_that_needs_a_workspace_says_how_one_is_named() -> None:
    nowhere = Invocation(Context("http://x", None, None, None), as_json=False)
    with pytest.raises(Misconfigured, match="mpctl use WORKSPACE"):
        _ = nowhere.workspace


def test_progress_counts_and_draws_nothing_where_no_person_looks(capfd: pytest.CaptureFixture[str]) -> None:
    with meter("reading", 10) as counted:
        counted.advance(4)
        counted.advance(3)
        assert (counted.done, counted.rate > 0) == (7, True)
    assert capfd.readouterr() == ("", "")
