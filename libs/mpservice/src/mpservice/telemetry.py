"""Structured logs on standard error, and the tasks of a process on a signal."""

import asyncio
import contextlib
import io
import logging
import signal
import sys
from typing import TextIO

import structlog


class LastingStream(io.TextIOBase):
    """A stream for log lines that loses what cannot be written: a full disk must not end the service."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream

    def write(self, text: str) -> int:
        """Write, or lose the line."""
        with contextlib.suppress(OSError):
            return self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Pass on what was written, as far as there is room."""
        with contextlib.suppress(OSError):
            self._stream.flush()


def log_factory(stream: TextIO) -> structlog.PrintLoggerFactory:
    """Return a factory of structlog's loggers that write to this stream and survive its failures."""
    return structlog.PrintLoggerFactory(LastingStream(stream))  # type: ignore[arg-type]  # it writes and flushes, no more


def configure(service: str, *, node: str = "", level: str = "info", style: str = "json") -> None:
    """Set up logging for this process: one JSON object a line, or coloured lines for a person (`style` console)."""
    chosen = logging.getLevelNamesMapping()[level.upper()]
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer() if style == "console" else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(chosen),
        logger_factory=log_factory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(
        level=max(chosen, logging.WARNING), stream=sys.stderr, format="%(levelname)s %(name)s %(message)s"
    )
    structlog.contextvars.bind_contextvars(service=service, **({"node": node} if node else {}))


def dump_tasks_on_signal() -> None:
    """Let SIGUSR1 write where every task of the running loop waits to the log: for a service that seems to hang."""
    log = structlog.get_logger(__name__)

    def dump() -> None:
        for task in asyncio.all_tasks():
            stack = io.StringIO()
            task.print_stack(file=stack)
            log.warning("task", name=task.get_name(), stack=stack.getvalue())

    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, dump)
