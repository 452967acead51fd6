"""Places of the log as people name them: an event's number, or a moment."""

from __future__ import annotations

import datetime as dt

from mpbus.reader import LogReader
from mpcli.moments import NoMoment, read_moment

from mpoperator.errors import ToolRefused


def milliseconds(moment: dt.datetime) -> int:
    """A moment as the log counts time."""
    return round(moment.timestamp() * 1_000)


def time_of(text: str) -> int:
    """Return the time of a moment in RFC 3339. Raises `ToolRefused`, saying how it is written."""
    try:
        return milliseconds(read_moment(text))
    except NoMoment as error:
        raise ToolRefused(str(error)) from error


async def seq_at(reader: LogReader, time_ms: int) -> int:
    """The last event recorded at or before a time; 0 when there is none."""
    low, high = 0, (await reader.head()).stream_seq
    while low < high:
        middle = (low + high + 1) // 2
        commit = await reader.commit_at(middle)
        assert commit is not None, "the log has no gaps"
        low, high = (middle, high) if commit.header.time_ms <= time_ms else (low, middle - 1)
    commit = await reader.commit_at(low) if low else None
    return commit.position.seq if commit else 0
