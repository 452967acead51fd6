"""The story as it is told: one line for each event that moves it, from the events alone."""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from mpcli.output import safe
from mpschema import board, channel, project, session, system, task
from mpschema.base import Event
from mpschema.cloudevents import CloudEvent
from rich.text import Text

from mpdemo.checks import exit_code

_AGENT = "agent:"
_SHOWN_MAX = 110
_LONG_PATH = re.compile(r"(?<![\w./-])([\w.-]+)(?:/[\w.-]+){2,}/([\w.-]+/[\w.-]+)")


class Story:
    """Listens to events in order, learns the names of things from them, and tells what happened."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        """The name of each session, by its id: its purpose."""
        self.titles: dict[str, str] = {}
        """The title of each task, by its id."""
        self.workers: dict[str, str] = {}
        """The author of the work handed in for each task, by the task's id."""
        self.counts: Counter[str] = Counter()
        """The number of events of each name."""

    def tell(self, event: CloudEvent) -> Text | None:
        """The line of an event; None where there is nothing to say about it."""
        self.counts[event.spec.name if event.spec else event.type] += 1
        if event.spec is None:
            return None
        fact = event.event
        self._learn(event, fact)
        teller = _TELLERS.get(type(fact))
        said = teller(self, event, fact) if teller else None
        if said is None:
            return None
        style, words = said
        clock = _local_time(event.time)
        who = self.who(event.actor)
        return Text.assemble((f"{clock} ", "dim"), (f"{who:>9} ", _colour(who)), (words, style))

    def who(self, principal: str) -> str:
        """A principal as the story calls it."""
        if principal.startswith(_AGENT):
            return self.names.get(principal.removeprefix(_AGENT), principal)
        return principal.partition(":")[2] or principal

    def title(self, task_id: str) -> str:
        """A task as the story calls it."""
        return self.titles.get(task_id, task_id)

    def _learn(self, event: CloudEvent, fact: Event) -> None:
        if isinstance(fact, session.SessionSpawned):
            self.names[event.aggregate_id] = _short(fact.purpose or fact.blueprint.name)
        elif isinstance(fact, task.TaskCreated):
            self.titles[event.aggregate_id] = shortened_path(_short(fact.title))
        elif isinstance(fact, task.TaskSubmitted):
            self.workers[event.aggregate_id] = self.who(event.actor)


def exits(evidence: Sequence[task.Evidence]) -> str:
    """Sum up evidence: exit codes, and the digests of the outputs."""
    return ", ".join(f"{each.kind} exit {exit_code(each)} (sha256 {(each.sha256 or '-')[:8]})" for each in evidence)


Said = tuple[str, str] | None
"""The style, and the words; None: nothing to say."""


def _project_created(_: Story, __: CloudEvent, fact: project.ProjectCreated) -> Said:
    return "bold", f"opens project {_short(fact.name)}"


def _board_created(_: Story, __: CloudEvent, fact: board.BoardCreated) -> Said:
    columns = " | ".join(f"{each.name} ≤{each.wip_limit}" if each.wip_limit else each.name for each in fact.columns)
    return "", f"sets up board {_short(fact.name)}: {_short(columns)}"


def _task_created(_: Story, __: CloudEvent, fact: task.TaskCreated) -> Said:
    return "", f"adds task: {shortened_path(_short(fact.title))}"


def _claimed(story: Story, event: CloudEvent, fact: task.TaskClaimed) -> Said:
    again = f", fence {fact.fence}: claimed for the {_ordinal(fact.fence)} time" if fact.fence > 1 else ""
    title = story.title(event.aggregate_id)
    return ("bold" if again else ""), f"claims {title} for {fact.ttl_seconds} s{again}"


def _renewed(story: Story, event: CloudEvent, fact: task.TaskLeaseRenewed) -> Said:
    return "dim", f"is still on {story.title(event.aggregate_id)}: lease renewed for {fact.ttl_seconds} s"


def _submitted(story: Story, event: CloudEvent, fact: task.TaskSubmitted) -> Said:
    return "magenta", f"hands in {story.title(event.aggregate_id)} with evidence: {exits(fact.evidence)}"


def _expired(story: Story, event: CloudEvent, fact: task.TaskLeaseExpired) -> Said:
    return "bold yellow", f"records that {story.who(fact.holder)}'s lease on {story.title(event.aggregate_id)} expired"


def _released(story: Story, event: CloudEvent, fact: task.TaskReleased) -> Said:
    return "yellow", f"{story.title(event.aggregate_id)} is free again: {fact.cause.value.replace('_', ' ')}"


def _accepted(story: Story, event: CloudEvent, fact: task.TaskAccepted) -> Said:
    return "green", f"accepts {story.title(event.aggregate_id)}: {_short(fact.note)}"


def _rejected(story: Story, event: CloudEvent, fact: task.TaskRejected) -> Said:
    return "bold red", f"sends back {story.title(event.aggregate_id)}: {_short(fact.reason)}"


def _canceled(story: Story, event: CloudEvent, fact: task.TaskCanceled) -> Said:
    return "red", f"closes {story.title(event.aggregate_id)} undone: {_short(fact.reason)}"


def _spawned(story: Story, event: CloudEvent, fact: session.SessionSpawned) -> Said:
    blueprint = f"{fact.blueprint.name}@{fact.blueprint.version} ({fact.blueprint.digest[:8]})"
    return "", f"spawns {story.names[event.aggregate_id]} from blueprint {_short(blueprint)}"


def _failed(story: Story, event: CloudEvent, fact: session.SessionFailed) -> Said:
    name = story.names.get(event.aggregate_id, event.aggregate_id)
    return "bold red", f"gives up on {name}: {_short(fact.failure)}, {_short(fact.detail)}"


def _session_canceled(story: Story, event: CloudEvent, _: session.SessionCanceled) -> Said:
    return "red", f"cancels {story.names.get(event.aggregate_id, event.aggregate_id)}"


def _completed(_: Story, __: CloudEvent, fact: session.SessionCompleted) -> Said:
    return "bold green", f"is done: {_short(fact.result)}"


def _opened(_: Story, __: CloudEvent, fact: channel.ChannelOpened) -> Said:
    return "", f"opens channel {_short(fact.name)} for its {fact.scope.value}"


def _posted(_: Story, __: CloudEvent, fact: channel.MessagePosted) -> Said:
    style = "bold red" if fact.kind == "notice" else "cyan"
    first, *rest = fact.body.splitlines() or [""]
    last = f" → {_short(rest[-1])}" if rest and not first.startswith("exit 0") else ""
    return style, f"#{fact.message_seq} {_short(fact.kind)}: {_short(shortened_path(first))}{last}"


def _refused(story: Story, _: CloudEvent, fact: system.CommandRejected) -> Said:
    what = f"{fact.command_type} {story.title(fact.target.partition('/')[2] or fact.target)}"
    return "dim", f"is refused {_short(what)}: {fact.code.value}"


_TELLERS: dict[type[Event], Callable[[Story, CloudEvent, Any], Said]] = {
    project.ProjectCreated: _project_created,
    board.BoardCreated: _board_created,
    task.TaskCreated: _task_created,
    task.TaskClaimed: _claimed,
    task.TaskLeaseRenewed: _renewed,
    task.TaskSubmitted: _submitted,
    task.TaskLeaseExpired: _expired,
    task.TaskReleased: _released,
    task.TaskAccepted: _accepted,
    task.TaskRejected: _rejected,
    task.TaskCanceled: _canceled,
    session.SessionSpawned: _spawned,
    session.SessionFailed: _failed,
    session.SessionCanceled: _session_canceled,
    session.SessionCompleted: _completed,
    channel.ChannelOpened: _opened,
    channel.MessagePosted: _posted,
    system.CommandRejected: _refused,
}


def _short(text: str) -> str:
    text = safe(text)
    return text if len(text) <= _SHOWN_MAX else text[: _SHOWN_MAX - 1] + "…"


def shortened_path(text: str) -> str:
    """Text in which long paths are told by their ends: `src/…/core/turn.py`."""
    return _LONG_PATH.sub(r"\1/…/\2", text)


def _ordinal(number: int) -> str:
    return {2: "second", 3: "third"}.get(number, f"{number}th")


def _local_time(text: str) -> str:
    return dt.datetime.fromisoformat(text).astimezone().strftime("%H:%M:%S")


def _colour(who: str) -> str:
    if who.startswith("worker"):
        return ("blue", "magenta", "cyan", "yellow")[sum(map(ord, who)) % 4]
    return "bold green" if who == "lead" else "dim"
