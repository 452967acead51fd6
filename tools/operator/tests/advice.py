"""Advice of the doctor, parsed as the program that is named would parse it."""

from __future__ import annotations

import importlib.util
import re
import shlex

import click
from mpctl.main import build
from mpd.cli import main as mpd

_PROGRAMS = ("mpctl", "mpd", "python")
_ASSIGNED = re.compile(r"[A-Z_]+=")
_PIECES = re.compile(r"`([^`]+)`")


def must_parse(mend: str) -> None:
    """A mend is a command, or a sentence with its commands between backticks. Each of ours parses."""
    whole = re.sub(r" \(see [^)]*\)$", "", mend)
    commands = [whole] if _is_command(whole) else _PIECES.findall(mend)
    for each in commands:
        for part in each.split(" && "):
            _parse(_words(part), part)
    rest = "" if _is_command(whole) else _PIECES.sub("", mend)
    assert not re.search(r"\b(mpctl|mpd|python -m) (?!of|starts)", rest), f"no command by its look: {mend}"


def _words(text: str) -> list[str]:
    words = shlex.split(text)
    while words and _ASSIGNED.match(words[0]):
        del words[0]
    return words


def _is_command(text: str) -> bool:
    words = text.split()
    while words and _ASSIGNED.match(words[0]):
        del words[0]
    return bool(words) and words[0] in _PROGRAMS and not re.match(r"mpd starts|mpctl of", text)


def _parse(words: list[str], told: str) -> None:
    if not words or words[0] not in _PROGRAMS:
        return
    if words[0] == "python":
        assert words[1] == "-m", told
        assert importlib.util.find_spec(words[2]) is not None, told
        return
    command: click.Command = build() if words[0] == "mpctl" else mpd
    context, rest = click.Context(command), words[1:]
    while isinstance(command, click.Group):
        found = command.get_command(context, rest[0])
        assert found is not None, f"{told}: there is no {rest[0]}"
        command, rest = found, rest[1:]
        context = click.Context(command, parent=context)
    command.parse_args(context, rest)
