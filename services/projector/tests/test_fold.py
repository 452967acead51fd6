"""Batches of any size give the same rows, and an event that fits nothing is refused."""

import functools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mpbus.reader import GENESIS, Commit
from mpschema import board, task
from mpschema.base import Event
from mpviews import VIEWS
from mpviews.changes import CannotApply
from mpviews.fold import Batch, fold
from mpviews.rows import Rows, apply, fresh_fold

from libs.mpviews.tests.test_views import CREATED, about_task, events, on
from services.projector.tests.log_story import LogStory, commit_of


@functools.cache
def story(seed: int) -> list[Commit]:
    """A log of small commits."""
    return list(LogStory(seed, workspaces=2, open_tasks=12).commits(600, per_commit=7))


@given(st.integers(0, 5), st.lists(st.integers(1, 60), min_size=1, max_size=12))
def test_batches_of_any_size_give_the_same_rows(seed: int, sizes: list[int]) -> None:
    commits = story(seed)
    for view in VIEWS.values():
        rows: Rows = {}
        rest, after, turn = commits, GENESIS, 0
        while rest:
            size = sizes[turn % len(sizes)]
            batch = fold(view, after, rest[:size])
            rows, rest, after, turn = apply(rows, batch), rest[size:], batch.position, turn + 1
        assert rows == apply({}, fold(view, GENESIS, commits)), view.name


def test_the_archive_of_a_long_story_gives_back_every_commit() -> None:
    dump = fresh_fold(story(1))
    for commit, head in zip(story(1), dump["log_commits"], strict=True):
        lines = [row["event"] for row in dump["log_events"] if row["stream_seq"] == commit.stream_seq]
        assert b"\n".join([head["header"], *lines, b""]) == commit.data


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        (about_task(CREATED, CREATED), "tasks has a row .* already"),
        (about_task(task.TaskReady()), "tasks has no row"),
        (
            on("board", "b")(board.BoardCreated(project_id="p", name="n"), board.ColumnLimited(column="x")),
            "no column of that name",
        ),
        (
            on("board", "b")(board.BoardCreated(project_id="p", name="n"), board.ColumnsReordered(columns=("x",))),
            "others than those",
        ),
    ],
)
def test_an_event_that_does_not_fit_the_rows_is_refused(facts: list[tuple[str, str, Event]], why: str) -> None:
    with pytest.raises(CannotApply, match=why):
        apply({}, fold(VIEWS["work"], GENESIS, [commit_of(events(*facts), GENESIS)]))


def test_a_batch_folded_anew_is_the_same() -> None:
    batch = Batch(VIEWS["work"], GENESIS)
    for commit in story(2)[:20]:
        batch.add(commit)
    again = batch.refold()
    assert (apply({}, again), again.position, again.events) == (apply({}, batch), batch.position, batch.events)
