"""The shape of a transition: from which states a command leads where. Each aggregate states its own as a table."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from mpschema.base import Command
from mpschema.envelope import CommandEnvelope
from mpschema.rejections import Rejection

from mpkernel.core.world import Decision, Space, World


class AccessRequest(msgspec.Struct, frozen=True, gc=False):
    """One command with everything its decision may look at. `now_ms` is the kernel's time, handed in."""

    world: World
    space: Space
    envelope: CommandEnvelope
    target: str
    arguments: Command
    now_ms: int


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """How one command is decided.

    `sources` are the states in which it is allowed (none: it creates, or its aggregate has no states), `targets` those
    it may lead to (none: the state stays). `guard` is asked before the state is looked at.
    """

    decide: Callable[[Any, Any, AccessRequest], Decision]
    """Of the state (None where there is none yet), the arguments and the request."""
    sources: frozenset[str] = frozenset()
    targets: tuple[str, ...] = ()
    guard: Callable[[Any, Any], Rejection | None] | None = None
    absent_too: bool = False
    """Whether it may also be given to what does not exist yet, though it is no creation."""


Rules = Mapping[type[Command], Rule]
"""A table of transitions: command to its rule."""

Unasked = Mapping[str, tuple[frozenset[str], str]]
"""Transitions that no command of the aggregate's own asks for: what happens, from which states, to which."""

Evolve = Callable[[Any, Any, Any], Any]
"""Of the state (None before the first fact), the event and its record: the state after it. Never refuses."""
