"""How a service shows itself: structured logs on standard error, and traces where a collector is named."""

import logging
import sys

import structlog


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
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(
        level=max(chosen, logging.WARNING), stream=sys.stderr, format="%(levelname)s %(name)s %(message)s"
    )
    structlog.contextvars.bind_contextvars(service=service, **({"node": node} if node else {}))
