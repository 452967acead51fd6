"""Moments as people type them: RFC 3339, with a time zone."""

from __future__ import annotations

import datetime as dt
from typing import Any

import click


class MomentParam(click.ParamType[dt.datetime]):
    """A moment, such as 2026-07-30T12:00:00Z."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dt.datetime:
        """The moment that a text means; fails where it is none, or names no time zone."""
        if isinstance(value, dt.datetime):
            return value
        try:
            moment = dt.datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no time: write 2026-07-30T12:00:00Z", param, ctx)
        if moment.tzinfo is None:
            self.fail(f"{value!r} names no time zone: write {value}Z for UTC", param, ctx)
        return moment


MOMENT = MomentParam()
"""The one there is."""
