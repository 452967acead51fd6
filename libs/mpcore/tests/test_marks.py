"""Hours of recorded time: what is older than so many days is forgotten, and nothing that is younger."""

from mpcore.engine.marks import BEGINNING, DAY_MS, HOUR_MS, HourMark, HourMarks

START_MS = 1_750_000_000_000


def test_nothing_is_forgotten_before_its_days_are_over_and_then_within_the_hour() -> None:
    marks = HourMarks()
    for hour in range(24 * 4):
        marks.add(HourMark(START_MS + hour * HOUR_MS, hour + 1), 2)
        oldest_ms = START_MS + (hour - 48) * HOUR_MS
        assert marks.forgotten == (HourMark(oldest_ms, hour - 47) if hour >= 48 else BEGINNING)


def test_a_leap_of_time_forgets_up_to_the_newest_mark_that_is_old_enough() -> None:
    marks = HourMarks()
    for hour in range(3):
        marks.add(HourMark(START_MS + hour * HOUR_MS, hour + 1), 2)
    marks.add(HourMark(START_MS + 90 * DAY_MS, 4), 2)
    assert marks.forgotten == HourMark(START_MS + 2 * HOUR_MS, 3)


def test_forgotten_stays_forgotten_when_more_days_are_wanted() -> None:
    marks = HourMarks()
    marks.add(HourMark(START_MS, 1), 1)
    marks.add(HourMark(START_MS + 3 * DAY_MS, 2), 1)
    marks.add(HourMark(START_MS + 5 * DAY_MS, 3), 30)
    assert marks.forgotten == HourMark(START_MS, 1)


def test_a_mark_is_taken_back_with_what_it_forgot() -> None:
    marks = HourMarks()
    marks.add(HourMark(START_MS, 1), 1)
    before = (list(marks.marks), marks.forgotten, marks.next_ms)
    marks.add(HourMark(START_MS + 3 * DAY_MS, 2), 1)
    assert marks.forgotten != BEGINNING
    marks.remove(3)
    assert len(marks.marks) == 2, "that event set none"
    marks.remove(2)
    assert (marks.marks, marks.forgotten, marks.next_ms) == before


def test_a_copy_holds_what_is_remembered_alone() -> None:
    marks = HourMarks()
    for day in range(6):
        marks.add(HourMark(START_MS + day * DAY_MS, day + 1), 2)
    assert [each.seq for each in marks.copy().marks] == [4, 5, 6]
    marks.settle()
    assert marks.marks == marks.copy().marks
