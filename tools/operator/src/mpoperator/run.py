"""One run of a tool: its help, its answer as text or JSON, its exit code."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import click
import msgspec
import structlog
from mpcli import output
from mpcli.exits import Exit
from mpcli.invocation import ExampleCommand
from mpschema.codec import LevelTooHigh

from mpoperator.errors import Disproved, NotConfigured, ServerGone, ToolError, ToolRefused

_ENDINGS: dict[type[ToolError], tuple[str, Exit]] = {
    Disproved: ("disproved", Exit.DISPROVED),
    ToolRefused: ("refused", Exit.REJECTED),
    NotConfigured: ("misconfigured", Exit.USAGE),
    ServerGone: ("unreachable", Exit.UNREACHABLE),
}


class ToolResult(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of a tool. The JSON is the whole of it."""

    @property
    def ending(self) -> Exit:
        """The end of a run with this answer."""
        return Exit.OK

    def told(self) -> str:
        """One line for a person."""
        raise NotImplementedError

    def details(self) -> list[list[str]]:
        """More lines, in columns."""
        return []

    def show(self) -> None:
        """All of it for a person, on standard output."""
        output.done(self.told())
        if lines := self.details():
            output.print_aligned(lines)


Tool = Callable[..., Awaitable[ToolResult | None]]


def command(
    group: click.Group, name: str, *parameters: click.Parameter, examples: Sequence[str]
) -> Callable[[Tool], Tool]:
    """Registers a tool: an async function of its parameters whose docstring is the help and whose answer is shown."""

    def register(tool: Tool) -> Tool:
        def run(as_json: bool, **given: Any) -> None:
            click.get_current_context().exit(perform(tool, as_json, given))

        as_json = click.Option(["--json", "as_json"], is_flag=True, help="Answer in JSON, failures too.")
        params = [*parameters, as_json]
        group.add_command(ExampleCommand(name, params=params, callback=run, help=tool.__doc__, examples=examples))
        return tool

    return register


def perform(tool: Tool, as_json: bool, given: dict[str, Any]) -> Exit:
    """Run a tool to its end, show what it found, and say how it ended."""
    say_nothing()
    try:
        with asyncio.Runner(loop_factory=fast_loop) as runner:
            answer = runner.run(_awaited(tool(**given)))
    except ToolError as error:
        return _failed(error, as_json)
    except LevelTooHigh as error:
        return _failed(ToolRefused(str(error)), as_json)
    if answer is None:
        return Exit.OK
    if as_json:
        output.print_json(answer)
    else:
        answer.show()
    return answer.ending


def say_nothing() -> None:
    """Mute the logs, in which reconnections and retries are told to services. A person gets one answer."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


def fast_loop() -> asyncio.AbstractEventLoop:
    """The event loop our services run on, where there is one for this system: tools read whole logs."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


async def _awaited(tool: Awaitable[ToolResult | None]) -> ToolResult | None:
    return await tool


def _failed(error: ToolError, as_json: bool) -> Exit:
    code, ending = next(_ENDINGS[kind] for kind in type(error).__mro__ if kind in _ENDINGS)
    if as_json:
        finding = error.finding if isinstance(error, Disproved) else None
        output.print_json({"code": code, "detail": str(error), "finding": finding})
    output.complain(str(error))
    return ending
