"""A person who waits is told what for; a program is not."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from mpcli import output

SLOW_SECONDS = 2.0


@contextlib.contextmanager
def slow(url: str, what: str) -> Iterator[None]:
    """Say on the terminal of standard error what is waited for, once it takes long."""
    if not output.err().is_terminal:
        yield
        return
    told = f"waiting for {url} to answer {what} ... (Ctrl-C ends the waiting; a command may be decided all the same)"
    timer = threading.Timer(SLOW_SECONDS, output.hint, [told])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
