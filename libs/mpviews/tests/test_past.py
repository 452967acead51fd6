"""Time travel: a thing's own events, folded, give exactly the row that the read models had at that event."""

import pytest
from mpbus.reader import Commit
from mpschema.envelope import EventRecord
from mpviews.past import PLACES, row_after, steps
from mpviews.rows import fresh_fold, in_order

from services.projector.tests.log_story import LogStory

COMMITS = list(LogStory(7, workspaces=2, open_tasks=20).commits(3_000, per_commit=30))


def own(commits: list[Commit], aggregate: str) -> dict[tuple[str, str], list[EventRecord]]:
    """The events of each aggregate of a kind."""
    found: dict[tuple[str, str], list[EventRecord]] = {}
    for commit in commits:
        for record in commit.records:
            if record.aggregate == aggregate:
                found.setdefault((record.workspace_id, record.aggregate_id), []).append(record)
    return found


@pytest.mark.parametrize("count", [1, 20, len(COMMITS)])
@pytest.mark.parametrize("aggregate", PLACES)
def test_what_is_folded_from_its_own_events_is_the_row_of_the_read_model(aggregate: str, count: int) -> None:
    commits = COMMITS[:count]
    made = [row_after(aggregate, records) for records in own(commits, aggregate).values()]
    table = PLACES[aggregate].table
    assert in_order(table, [row for row in made if row]) == fresh_fold(commits)[table.name]


def test_nothing_was_there_before_the_first_event() -> None:
    assert row_after("task", []) is None


def test_each_step_says_what_its_event_changed() -> None:
    records = max(own(COMMITS, "task").values(), key=len)
    told = list(steps("task", records))
    assert [step.record for step in told] == records
    created, *later = told
    assert created.changed["title"][0] is None
    row = {name: pair[1] for name, pair in created.changed.items()}
    for step in later:
        for name, (before, after) in step.changed.items():
            assert row.get(name) == before
            row[name] = after
    final = row_after("task", records) or {}
    assert {name: final[name] for name in row} == row
