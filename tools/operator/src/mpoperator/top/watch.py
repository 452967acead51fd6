"""The live screen: a sample every interval, drawn over the one before, until Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque

from mpcli.output import out
from rich.live import Live

from mpoperator.site.cluster import cluster
from mpoperator.site.settings import OperatorSettings
from mpoperator.top.rates import screen_of
from mpoperator.top.samples import take_sample
from mpoperator.top.screen import Screen, draw

_HISTORY = 40


async def look(settings: OperatorSettings, seconds: float) -> Screen:
    """One screen, whose rates are over so many seconds."""
    async with cluster(settings) as found:
        before = await take_sample(found)
        await asyncio.sleep(seconds)
        return screen_of(settings.shard, before, await take_sample(found))


async def watch(settings: OperatorSettings, seconds: float) -> None:
    """Draw until interrupted. Connects anew when a server that was there goes away."""
    history: deque[float] = deque(maxlen=_HISTORY)
    with Live(console=out(), screen=True, auto_refresh=False) as live, contextlib.suppress(asyncio.CancelledError):
        while True:
            screen = await look(settings, seconds)
            history.append(screen.events_per_second or 0.0)
            live.update(draw(screen, history), refresh=True)
