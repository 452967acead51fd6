"""The entry of a service's program: its words, its settings, its logs, and the loop that it runs in."""

import sys
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import TypeVar

import structlog
import uvloop
from mpbus.errors import Unusable

from mpservice.lifecycle import Lifecycle, live
from mpservice.settings import EXIT_MISCONFIGURED, OpsSettings
from mpservice.telemetry import configure

log = structlog.get_logger(__name__)
EXIT_USAGE = 2
_Settings = TypeVar("_Settings", bound=OpsSettings)
_NONE: Mapping[str, Callable[[], int]] = MappingProxyType({})


def dispatch(
    package: str, words: list[str], run: Callable[[], int], tasks: Mapping[str, Callable[[], int]] = _NONE
) -> int:
    """Run the service, or the task that the one word names. Returns the exit code: 2 for wrong usage."""
    if not words:
        return run()
    if len(words) == 1 and words[0] in tasks:
        return tasks[words[0]]()
    known = f" [{' | '.join(tasks)}]" if tasks else ""
    sys.stderr.write(f"usage: python -m {package}{known}\n")
    return EXIT_USAGE


def run_service(
    name: str,
    settings: _Settings,
    serve: Callable[[_Settings, Lifecycle], Awaitable[int]],
    look: Callable[[_Settings], object] = lambda _: None,
) -> int:
    """Run a service until a signal asks it to stop. Returns the exit code.

    `look` reads the files with secrets now, so that an unusable one is reported at the start: it raises `Unusable`.
    """
    configure(name, node=settings.node, level=settings.log_level, style=settings.log_format)
    try:
        look(settings)
    except Unusable as error:
        log.critical(f"{name}.misconfigured", reason=str(error))
        return EXIT_MISCONFIGURED
    return uvloop.run(live(name, settings, lambda life: serve(settings, life)))
