"""Moments as people type them: RFC 3339, with a time zone."""

from __future__ import annotations

import datetime as dt


class NoMoment(ValueError):
    """A text that is no moment; the message says how one is written."""


def read_moment(text: str) -> dt.datetime:
    """Return the moment that a text means. Raises `NoMoment`."""
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError as error:
        raise NoMoment(f"{text!r} is no time: write 2026-07-30T12:00:00Z") from error
    if moment.tzinfo is None:
        raise NoMoment(f"{text!r} names no time zone: write {text}Z for UTC")
    return moment
