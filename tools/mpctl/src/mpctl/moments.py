"""Moments as people type them: RFC 3339, with a time zone."""

from __future__ import annotations

import datetime as dt
from typing import Any

import click
from mpcli.moments import NoMoment, read_moment


class MomentParam(click.ParamType[dt.datetime]):
    """A moment, such as 2026-07-30T12:00:00Z."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dt.datetime:
        """The moment that a text means; fails where it is none, or names no time zone."""
        if isinstance(value, dt.datetime):
            return value
        try:
            return read_moment(value)
        except NoMoment as error:
            self.fail(str(error), param, ctx)


MOMENT = MomentParam()
"""The one there is."""
