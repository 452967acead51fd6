"""Commands that the kernel gives itself, because of an event or because a moment has passed."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from mpschema.base import Command, Event
from mpschema.envelope import EventRecord

from mpcore.state.rules import Draft


class FollowUp(NamedTuple):
    """One command of the kernel's own, and its target."""

    arguments: Command
    target: str


Reaction = Callable[[EventRecord, Draft], Sequence[FollowUp]]
"""Of an event that was just recorded, and the state with it: the commands that follow, in order. Pure."""
Reactions = Mapping[type[Event], Reaction]
"""Event to what follows from it."""
Expiry = Callable[[Any, int], Command]
"""Of the state whose deadline has passed, and which of its things waited: the command to it that follows."""
