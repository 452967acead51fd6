"""The place where two folds of a log part, traced back from a later state to an event. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mpcli.exits import Exit
from mpcli.output import plain as shown
from mpschema.envelope import EventRecord

from mpoperator.replay.states import StateKey
from mpoperator.run import ToolResult

ABSENT = "absent"
State = dict[str, Any] | None


class Same(ToolResult, frozen=True, kw_only=True):
    """Both folds agree."""

    at_seq: int
    compared: int

    def told(self) -> str:
        """See the base class."""
        return f"both folds agree up to event {self.at_seq:,} ({self.compared:,} comparisons)"


class Divergence(ToolResult, frozen=True, kw_only=True):
    """The first event after which the two folds differ."""

    seq: int
    event_id: str
    event_type: str
    kind: str
    workspace: str
    aggregate_id: str
    field: str
    ours: Any
    theirs: Any
    exact: bool
    """False when the other side is a single state: the event is inferred from this fold's history of the field."""
    agreed_at_seq: int
    """Up to here both are known to agree."""
    differing: int
    """The number of states that differ where they were compared."""

    @property
    def ending(self) -> Exit:
        """See the base class."""
        return Exit.DISPROVED

    def told(self) -> str:
        """See the base class."""
        return f"the folds differ since event {self.seq:,}" + ("" if self.exact else " (inferred from a later state)")

    def details(self) -> list[list[str]]:
        """See the base class."""
        return [
            ["event", f"{self.event_id} {self.event_type}"],
            ["aggregate", str(StateKey(self.kind, self.workspace, self.aggregate_id))],
            ["field", self.field],
            ["here", shown(self.ours)],
            ["there", shown(self.theirs)],
            ["agreed up to", f"event {self.agreed_at_seq}"],
            ["differing", f"{self.differing} states"],
        ]


def divergence(
    record: EventRecord,
    key: StateKey,
    field: str,
    sides: tuple[State, State],
    *,
    exact: bool,
    agreed: int,
    differing: int,
) -> Divergence:
    """The answer, from an event and the two states after it."""
    ours, theirs = sides
    return Divergence(
        seq=record.seq,
        event_id=record.id,
        event_type=record.event_type,
        kind=key.kind,
        workspace=key.workspace,
        aggregate_id=key.id,
        field=field,
        ours=(ours or {}).get(field, ABSENT),
        theirs=(theirs or {}).get(field, ABSENT),
        exact=exact,
        agreed_at_seq=agreed,
        differing=differing,
    )


def fields_apart(ours: State, theirs: State) -> list[str]:
    """The fields in which two states differ. `version` last: it follows from the others more often than it leads."""
    here, there = ours or {}, theirs or {}
    apart = [name for name in {**here, **there} if here.get(name, ABSENT) != there.get(name, ABSENT)]
    return sorted(apart, key=lambda name: (name == "version", name))


class DivergenceTracker:
    """Follows one aggregate through this fold, against the state it has on the other side in the end."""

    def __init__(self, theirs: State) -> None:
        self._theirs = theirs or {}
        self._now: dict[str, Any] = {}
        self._left: dict[str, int] = {}
        """Field to the event since which it has another value than there."""
        self._changed: dict[str, int] = {}
        self._agreed = set[str]()

    def look(self, state: State, seq: int) -> bool:
        """See the state after an event; whether anything in it has changed."""
        before, self._now = self._now, state or {}
        changed = fields_apart(before, self._now)
        for name in changed:
            theirs = self._theirs.get(name, ABSENT)
            self._changed[name] = seq
            if before.get(name, ABSENT) == theirs:
                self._agreed.add(name)
                self._left[name] = seq
        return bool(changed)

    def verdicts(self) -> Iterator[tuple[int, str]]:
        """The event to blame for each field that differs in the end, and the field.

        A field that had that value before went wrong when it left it for the last time. One that never had it is
        blamed on its last change.
        """
        for name in fields_apart(self._now, self._theirs):
            blamed = self._left if name in self._agreed else self._changed
            yield blamed.get(name, 0), name
