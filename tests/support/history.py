"""Promises of a log and its read models, checked from stored bytes. No code is shared with the product.

It knows SHA-256, JSON and the written promises, and no module of ours: a fault in the kernel's own fold, reader or
codec cannot hide itself here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

Event = dict[str, Any]
"""One event line, parsed, with `aggregate` and `name` from its type."""
_HOLDING = {"TaskStarted", "TaskSubmitted", "TaskLeaseRenewed"}
_LETTING_GO = {"TaskReleased", "TaskLeaseExpired"}
_ENDING = {"TaskBlocked", "TaskCompleted", "TaskCanceled"}


class Stored(Protocol):
    """One message of the log stream as it lies there."""

    @property
    def stream_seq(self) -> int: ...
    @property
    def subject(self) -> str: ...
    @property
    def data(self) -> bytes: ...
    @property
    def hash(self) -> str: ...


class Acknowledgement(Protocol):
    """The answer to a client about its command."""

    @property
    def first_seq(self) -> int: ...
    @property
    def last_seq(self) -> int: ...
    @property
    def accepted(self) -> bool: ...


def check_history(
    commits: Iterable[Stored], acknowledged: Mapping[str, Acknowledgement], restorations: int = 0
) -> list[Event]:
    """Every promise about the log, asserted; its events. `acknowledged` is by command id.

    `restorations`: how often an operator put the log back; it is in the log so often, and not once more.
    """
    history = _History()
    for stored in commits:
        history.take(stored)
    for command_id, told in acknowledged.items():
        found = history.outcomes.get(command_id)
        assert found is not None, f"{command_id} was acknowledged and is not in the log"
        assert (found.first, found.last) == (told.first_seq, told.last_seq), f"{command_id} stands elsewhere than told"
        assert found.accepted == told.accepted, f"{command_id} was told another answer"
    assert history.restorations == restorations, f"the log was put back {history.restorations} times"
    return history.events


def check_rows(events: Sequence[Event], tables: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Rows against the events they come from: one for each thing, at its newest version, with every outcome counted."""
    newest: dict[tuple[str, str, str], tuple[int, int]] = {}
    messages = 0
    for event in events:
        newest[event["aggregate"], event["workspace_id"], event["aggregate_id"]] = (event["version"], event["seq"])
        messages += event["name"] == "MessagePosted"
    for aggregate in ("project", "board", "task", "session", "channel"):
        expected = {key[1:]: where for key, where in newest.items() if key[0] == aggregate}
        rows = tables[f"{aggregate}s"]
        assert {(row["workspace_id"], row["id"]): (row["version"], row["last_seq"]) for row in rows} == expected
    assert len(tables["messages"]) == messages
    assert [row["seq"] for row in tables["log_events"]] == [event["seq"] for event in events]
    decided = {(event["workspace_id"], _command_of(event)) for event in events if "digest" in event}
    assert {(row["workspace_id"], row["id"]) for row in tables["commands"]} == decided


@dataclass
class _Outcome:
    first: int
    last: int
    accepted: bool


@dataclass
class _Claim:
    fence: int = 0
    held: bool = False


@dataclass
class _History:
    """The log so far, as the promises see it."""

    events: list[Event] = field(default_factory=list)
    outcomes: dict[str, _Outcome] = field(default_factory=dict)
    stream_seq: int = 0
    hash: str = "0" * 64
    epoch: int = 0
    restorations: int = 0
    fence_floor: int = 0
    """Claims after a restoration have tokens beyond all that could be lost."""
    time_ms: int = 0
    consumed: tuple[int, int] = (0, 0)
    """Of the command stream: a position, and lines of the message after it."""
    versions: dict[tuple[str, str, str], int] = field(default_factory=dict)
    ids: set[str] = field(default_factory=set)
    keys: set[tuple[str, str]] = field(default_factory=set)
    claims: dict[tuple[str, str], _Claim] = field(default_factory=dict)

    def take(self, stored: Stored) -> None:
        """One more commit."""
        assert stored.stream_seq == self.stream_seq + 1, f"commit {stored.stream_seq} follows {self.stream_seq}"
        self._linked(stored)
        header, *events = (json.loads(line) for line in stored.data.splitlines())
        assert header["previous_hash"] == self.hash, f"commit {stored.stream_seq} names another before it"
        assert (header["first_seq"], header["count"]) == (len(self.events) + 1, len(events))
        self._led(header, events)
        consumed = header["command_position"], header.get("command_line", 0)
        assert consumed >= self.consumed, "commands were taken back"
        assert header["time_ms"] >= self.time_ms, "recorded time ran backwards"
        self.consumed, self.time_ms = consumed, header["time_ms"]
        self.stream_seq, self.hash = stored.stream_seq, stored.hash
        open_outcome = ""
        for event in events:
            open_outcome = self._event(event, open_outcome)

    def _linked(self, stored: Stored) -> None:
        link = f"moduprompt/commit/v1\n{self.hash}\n{stored.subject}\n".encode() + stored.data
        assert hashlib.sha256(link).hexdigest() == stored.hash, f"commit {stored.stream_seq} does not fit its hash"

    def _led(self, header: Event, events: list[Event]) -> None:
        """Fencing: an epoch begins with its election, and from then on nobody of an older one writes."""
        if header["epoch"] != self.epoch:
            first = events[0]
            if first["type"].split(".")[2] == "LogRestored":
                assert header["epoch"] > self.epoch, f"epoch {header['epoch']} was begun after epoch {self.epoch}"
                self.restorations += 1
                # What still waits beside a log that was put back is looked at anew; nothing is decided twice for it.
                self.consumed, self.fence_floor = (0, 0), header["epoch"]
            else:
                self._elected(header["epoch"], first)
            self.epoch = header["epoch"]
        assert {event["epoch"] for event in events} == {self.epoch}

    def _elected(self, epoch: int, first: Event) -> None:
        assert epoch == self.epoch + 1, f"epoch {epoch} wrote after epoch {self.epoch}"
        assert first["type"].split(".")[2] == "LeaderElected", f"epoch {epoch} wrote before its election"
        assert first["data"]["leader_epoch"] == epoch

    def _event(self, event: Event, open_outcome: str) -> str:
        _, event["aggregate"], event["name"], _ = event["type"].split(".")
        assert event["seq"] == len(self.events) + 1, f"event {event['seq']} follows {len(self.events)}"
        key = (event["workspace_id"], event["aggregate"], event["aggregate_id"])
        assert event["version"] == self.versions.get(key, 0) + 1, f"{event['id']} leaves a gap in {key}"
        self.versions[key] = event["version"]
        assert event["id"] not in self.ids, f"{event['id']} is in the log twice"
        self.ids.add(event["id"])
        self.events.append(event)
        if event["aggregate"] == "task":
            self._fenced(event)
        return self._outcome(event, open_outcome)

    def _outcome(self, event: Event, open_outcome: str) -> str:
        """One outcome a command and a key, whole within a commit. Returns the command whose outcome goes on."""
        command_id, index = _command_of(event), int(event["id"].rpartition(":")[2])
        if "digest" in event:
            assert command_id not in self.outcomes, f"{command_id} was decided twice"
            key = (event["workspace_id"], event.get("idempotency_key", command_id))
            assert key not in self.keys, f"{key} was decided twice"
            self.keys.add(key)
            self.outcomes[command_id] = _Outcome(event["seq"], event["seq"], event["aggregate"] != "command")
            return command_id
        if command_id == open_outcome:
            assert index == event["seq"] - self.outcomes[command_id].first, f"{event['id']} is out of place"
            self.outcomes[command_id].last = event["seq"]
            return open_outcome
        assert command_id not in self.outcomes, f"{event['id']} is apart from its outcome"
        return ""

    def _fenced(self, event: Event) -> None:
        """A claim has one holder at a time, and only the newest fencing token moves the task."""
        claim = self.claims.setdefault((event["workspace_id"], event["aggregate_id"]), _Claim())
        fence = event["data"].get("fence")
        if event["name"] == "TaskClaimed":
            assert not claim.held, f"{event['id']} claims what is claimed"
            expected = max(claim.fence, self.fence_floor) + 1
            assert fence == expected, f"{event['id']} has fence {fence} after {claim.fence}, not {expected}"
            claim.fence, claim.held = fence, True
        elif event["name"] in _HOLDING | _LETTING_GO:
            assert claim.held, f"{event['id']} rests on no claim"
            assert fence == claim.fence, f"{event['id']} rests on fence {fence}, the newest is {claim.fence}"
        if event["name"] in _LETTING_GO | _ENDING:
            claim.held = False


def _command_of(event: Event) -> str:
    return str(event["id"]).rpartition(":")[0]
