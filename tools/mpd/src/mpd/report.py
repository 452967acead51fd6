"""The state of a running installation, for people: what mpd wrote down, and what its services report."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
from rich.table import Table

from mpd.services import facts_of, sentences

SILENT_SECONDS = 15.0
"""A running mpd writes its state each second: one that has not for so long is stuck, and what it wrote is old."""

State = Mapping[str, Any]


def is_well(state: State) -> bool:
    """Tell whether all are ready, and the state is no old news."""
    return state["phase"] == "ready" and not silence(state) and all(process["ready"] for process in state["processes"])


def silence(state: State) -> str:
    """That mpd itself has written nothing for too long, and for how long; empty where it has."""
    written = state.get("written_uptime_seconds")
    seconds = 0.0 if written is None else time.monotonic() - written
    if seconds < SILENT_SECONDS:
        return ""
    return f"mpd itself (pid {state['pid']}) has said nothing for {seconds:.0f} s{_stopped(state['pid'])}"


def _stopped(pid: int) -> str:
    try:
        stopped = psutil.Process(pid).status() == psutil.STATUS_STOPPED
    except psutil.Error:
        return ""
    return f": it was stopped by a signal, `kill -CONT {pid}` lets it go on" if stopped else ""


def said(folder: Path, state: State) -> dict[str, list[str]]:
    """Return each service's own words: why it is not ready, and what somebody should see to."""
    try:
        services = json.loads((folder / "operator.json").read_text())["services"]
    except (OSError, ValueError, KeyError):
        services = {}
    told = {each["name"]: [each["says"]] for each in state["processes"] if each.get("says")}
    for each in state["processes"]:
        if each["running"] and each["name"] in services:
            facts = facts_of(services[each["name"]])
            silent = facts is None and not each["ready"] and state["phase"] != "starting"
            told[each["name"]] = ["does not answer"] if silent else sentences(facts or {})
    return {name: words for name, words in told.items() if words}


def by_sentence(told: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """Group services by sentence. A cause that stops many, or that others repeat in longer words, comes once."""
    causes = list[str]()
    for sentence in sorted({each for words in told.values() for each in words}, key=len):
        if not any(cause in sentence for cause in causes):
            causes.append(sentence)
    found: dict[str, list[str]] = {}
    for name, words in told.items():
        for cause in dict.fromkeys(_cause(causes, sentence) for sentence in words):
            found.setdefault(cause, []).append(name)
    return found


def _cause(causes: list[str], sentence: str) -> str:
    return next(cause for cause in causes if cause in sentence)


def lines(state: State, told: Mapping[str, list[str]]) -> list[str]:
    """A line for each thing that is said."""
    heard = [f"{', '.join(names)}: {sentence}" for sentence, names in by_sentence(told).items()]
    silent = silence(state)
    return [f"{silent}; the table is as old", *heard] if silent else heard


def headline(state: State) -> str:
    """Return the state in one line."""
    processes = state["processes"]
    if silence(state):
        return f"not known (it was {state['phase']})"
    waiting = [process["name"] for process in processes if not process["ready"]]
    if state["phase"] != "ready" or not waiting:
        return str(state["phase"])
    return f"not ready: {len(waiting)} of {len(processes)} processes ({', '.join(waiting)})"


def table(state: State) -> Table:
    """A row for each process."""
    title = f"{headline(state)} at {state['url']} (pid {state['pid']})"
    rows = Table(title=title, title_justify="left", box=None)
    for heading in ("process", "pid", "state", "restarts"):
        rows.add_column(heading)
    for process in state["processes"]:
        rows.add_row(process["name"], str(process["pid"] or "-"), _how(state, process), str(process["restarts"]))
    return rows


def _how(state: State, process: Mapping[str, Any]) -> str:
    if process["ready"]:
        return "[green]ready"
    if process["running"]:
        return "[yellow]starting" if state["phase"] == "starting" else "[yellow]not ready"
    if state["phase"] == "starting" and process.get("exit_code") is None:
        return "[dim]its turn comes"
    return "[red]down"
