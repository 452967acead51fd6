"""Recorded time in hours, and up to where outcomes are forgotten by it. The same on every replica."""

from bisect import bisect_right
from typing import NamedTuple

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


class HourMark(NamedTuple):
    """The first outcome that was recorded an hour or more after the mark before it."""

    time_ms: int
    seq: int


BEGINNING = HourMark(0, 0)


class HourMarks:
    """The marks of what is remembered, and the one before which all is forgotten. Each new mark may move that one."""

    __slots__ = ("_way_back", "forgotten", "marks", "next_ms")

    def __init__(self, marks: list[HourMark] | None = None, forgotten: HourMark = BEGINNING) -> None:
        self.marks = [] if marks is None else marks
        self.forgotten = forgotten
        """Outcomes before it are forgotten."""
        self.next_ms = self.marks[-1].time_ms + HOUR_MS if self.marks else 0
        """From then on an outcome makes a mark."""
        self._way_back: list[tuple[HourMark, int]] = []

    def copy(self) -> "HourMarks":
        """Copy what must be the same on every replica."""
        return HourMarks([each for each in self.marks if each.seq >= self.forgotten.seq], self.forgotten)

    def add(self, mark: HourMark, days: int) -> None:
        """Set a mark: forget what is older than so many days. Forgotten stays forgotten."""
        self._way_back.append((self.forgotten, self.next_ms))
        self.marks.append(mark)
        self.next_ms = mark.time_ms + HOUR_MS
        older = bisect_right(self.marks, (mark.time_ms - days * DAY_MS, mark.seq))
        if older:
            self.forgotten = max(self.forgotten, self.marks[older - 1])

    def remove(self, seq: int) -> None:
        """Take back the newest mark, where it was set by this event."""
        if self._way_back and self.marks[-1].seq == seq:
            del self.marks[-1]
            self.forgotten, self.next_ms = self._way_back.pop()

    def settle(self) -> None:
        """Drop what is needed for a way back alone."""
        self._way_back.clear()
        while self.marks and self.marks[0].seq < self.forgotten.seq:
            del self.marks[0]
