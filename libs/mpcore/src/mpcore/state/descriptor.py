"""The descriptor of an aggregate: whatever lists aggregates derives from it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mpschema.base import Event

from mpcore.state.reactions import Expiry, Reactions
from mpcore.state.rules import Evolves, Rules
from mpcore.state.states import States
from mpcore.state.tenant import Index, Tenant

Reindex = Callable[[Tenant, Any, Any], None]
"""Of the tenant, the state before and the state after (or None): bring up to date what derives from it.

The same function rebuilds everything, from no state before to the state that is: so both ways agree by construction. It
also undoes a change, from the state after it back to the one before, or to none.
"""


@dataclass(frozen=True, kw_only=True)
class Aggregate:
    """One aggregate: its words are in `mpschema`, all that is decided and remembered of it is here."""

    name: str
    about: str
    """The description: a line, and more below it."""
    state: type[Any]
    """The state: a frozen struct with `id` and `version`, encoded as an array."""
    rules: Rules
    evolve: Evolves
    index: type[Index] = Index
    reindex: Reindex | None = None
    timers: Mapping[str, Expiry] = field(default_factory=dict)
    """Kind of deadline to what follows when it passes."""
    reactions: Reactions = field(default_factory=dict)
    """Event of any aggregate to what follows from it for this one. They count from feature level 4."""
    finished: frozenset[str] = frozenset()
    """States of which hardly anything more is expected: what is in one is packed."""
    finishing: tuple[type[Event], ...] = ()
    """The events that lead there."""

    def new_index(self) -> Index:
        """Make an index without states."""
        return self.index(by_id=States(self.state))
