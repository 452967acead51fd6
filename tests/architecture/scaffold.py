"""`python -m tests.architecture.scaffold NAME [--root FOLDER]`: the skeleton of a new aggregate, ready to be filled.

It can be opened, renamed and closed, its rows are shown, and its tests pass: replace what it does by what it is for.
`context/guides/new-aggregate.md` goes through the files.
"""

import argparse
import re
import sys
from pathlib import Path

from tests.architecture.repository import ROOT

NAMES = "libs/mpschema/src/mpschema/aggregates.py"
CONTRACTS = "pyproject.toml"
_FILES = {
    "libs/mpschema/src/mpschema/{name}/__init__.py": '''\
"""The words about {a_name}."""

from typing import ClassVar

from mpschema.base import Command, Event, Name, Reason
from mpschema.levels import FEATURE_LEVEL
from mpschema.vocabulary import Vocabulary, command


class Open{Name}(Command, frozen=True):
    """Open {a_name}."""

    name: Name


class Rename{Name}(Command, frozen=True):
    """Give the {name} another name."""

    name: Name


class Close{Name}(Command, frozen=True):
    """Close the {name} for good."""

    reason: Reason = ""


class {Name}Opened(Event, frozen=True):
    since_level: ClassVar[int] = FEATURE_LEVEL
    name: Name


class {Name}Renamed(Event, frozen=True):
    since_level: ClassVar[int] = FEATURE_LEVEL
    name: Name


class {Name}Closed(Event, frozen=True):
    since_level: ClassVar[int] = FEATURE_LEVEL
    reason: Reason = ""


VOCABULARY = Vocabulary(
    name="{name}",
    plural="{plural}",
    about="{Plural}: say here in a line what they are.",
    commands=(
        command("{name}.open", Open{Name}, {Name}Opened, creates=True),
        command("{name}.rename", Rename{Name}, {Name}Renamed),
        command("{name}.close", Close{Name}, {Name}Closed),
    ),
    events=({Name}Opened, {Name}Renamed, {Name}Closed),
)
''',
    "libs/mpschema/src/mpschema/{name}/rows.py": '''\
"""The queries about {a_name}, and the rows that they answer with."""

from mpschema.rows import QuerySpec, Row, pair


class {Name}Row(Row, kw_only=True, frozen=True):
    id: str
    name: str
    state: str
    """`open` or `closed`."""


QUERIES: tuple[QuerySpec, ...] = (
    *pair(
        "{name}",
        {Name}Row,
        "state",
        values={{"state": frozenset({{"open", "closed"}})}},
        shown=("id", "name", "state"),
    ),
)
''',
    "libs/mpschema/src/mpschema/{name}/examples.py": '''\
"""Examples of the commands, events and rows about {a_name}: one of each."""

import msgspec

from mpschema import story
from mpschema.base import Command, Event
from mpschema.{name} import Close{Name}, Open{Name}, Rename{Name}, {Name}Closed, {Name}Opened, {Name}Renamed
from mpschema.{name}.rows import {Name}Row

ID = "{name}-1"
COMMANDS: tuple[Command, ...] = (Open{Name}(name="First"), Rename{Name}(name="Second"), Close{Name}(reason="done"))
EVENTS: tuple[Event, ...] = ({Name}Opened(name="First"), {Name}Renamed(name="Second"), {Name}Closed(reason="done"))
ROWS: tuple[msgspec.Struct, ...] = ({Name}Row(**story.CHANGED, id=ID, name="Second", state="open"),)
''',
    "libs/mpcore/src/mpcore/domain/{name}/__init__.py": '''\
"""The aggregate `{name}`."""
''',
    "libs/mpcore/src/mpcore/domain/{name}/state.py": '''\
"""The state of {a_name}: only what a later decision asks for."""

import enum

import msgspec


class {Name}State(enum.StrEnum):
    """The states of {a_name}."""

    OPEN = "open"
    CLOSED = "closed"


class {Name}(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """Say here what {a_name} is."""

    id: str
    version: int
    state: {Name}State
''',
    "libs/mpcore/src/mpcore/domain/{name}/evolve.py": '''\
"""The events of {a_name}, as they change its state."""

from mpschema.envelope import EventRecord
from mpschema.{name} import {Name}Closed, {Name}Opened, {Name}Renamed
from msgspec.structs import replace

from mpcore.domain.{name}.state import {Name}, {Name}State
from mpcore.state.rules import Evolves


def _opened(_: None, __: {Name}Opened, record: EventRecord) -> {Name}:
    return {Name}(record.aggregate_id, record.version, {Name}State.OPEN)


def _renamed(state: {Name}, _: {Name}Renamed, record: EventRecord) -> {Name}:
    return replace(state, version=record.version)


def _closed(state: {Name}, _: {Name}Closed, record: EventRecord) -> {Name}:
    return replace(state, version=record.version, state={Name}State.CLOSED)


EVOLVE: Evolves = {{{Name}Opened: _opened, {Name}Renamed: _renamed, {Name}Closed: _closed}}
''',
    "libs/mpcore/src/mpcore/domain/{name}/rules.py": '''\
"""The rules of {a_name}'s commands: in which states, by whom, to what."""

from mpschema.{name} import Close{Name}, Open{Name}, Rename{Name}, {Name}Closed, {Name}Opened, {Name}Renamed

from mpcore.domain.{name}.state import {Name}, {Name}State
from mpcore.domain.naming import name_in
from mpcore.state.facts import Decision, Fact
from mpcore.state.rules import DecisionContext, Rule, Rules

OPEN, CLOSED = {Name}State.OPEN, {Name}State.CLOSED


def _open(_: None, arguments: Open{Name}, context: DecisionContext) -> Decision:
    return (Fact("{name}", context.target, {Name}Opened(arguments.name)),)


def _rename(state: {Name}, arguments: Rename{Name}, _: DecisionContext) -> Decision:
    return (Fact("{name}", state.id, {Name}Renamed(arguments.name)),)


def _close(state: {Name}, arguments: Close{Name}, _: DecisionContext) -> Decision:
    return (Fact("{name}", state.id, {Name}Closed(arguments.reason)),)


RULES: Rules = {{
    Open{Name}: Rule(decide=_open, targets=(OPEN,), names=name_in("name")),
    Rename{Name}: Rule(decide=_rename, sources=frozenset({{OPEN}}), names=name_in("name")),
    Close{Name}: Rule(decide=_close, sources=frozenset({{OPEN}}), targets=(CLOSED,)),
}}
''',
    "libs/mpcore/src/mpcore/domain/{name}/aggregate.py": '''\
"""Say here in a line what {a_name} is, and below it what always holds of one."""

from mpschema.{name} import {Name}Closed

from mpcore.domain.{name}.evolve import EVOLVE
from mpcore.domain.{name}.rules import CLOSED, RULES
from mpcore.domain.{name}.state import {Name}
from mpcore.state.descriptor import Aggregate

AGGREGATE = Aggregate(
    name="{name}",
    about=__doc__,
    state={Name},
    rules=RULES,
    evolve=EVOLVE,
    finished=frozenset({{CLOSED}}),
    finishing=({Name}Closed,),
)
''',
    "libs/mpviews/src/mpviews/{plural}.py": '''\
"""{Plural}, as queries show them."""

from collections.abc import Sequence

from mpschema import {name}
from mpschema.envelope import EventRecord
from mpschema.{name}.rows import {Name}Row

from mpviews.changes import Cases, Change, Insert, View
from mpviews.tables import aggregate_table, created, key_of, patch


def _opened(record: EventRecord, data: {name}.{Name}Opened) -> Sequence[Change]:
    return (Insert("{plural}", key_of(record), {{"name": data.name, "state": "open"}} | created(record)),)


CASES = Cases(
    frozenset({{"{name}"}}),
    {{
        {name}.{Name}Opened: _opened,
        {name}.{Name}Renamed: lambda record, data: (patch("{plural}", record, name=data.name),),
        {name}.{Name}Closed: lambda record, _: (patch("{plural}", record, state="closed"),),
    }},
)
VIEW = View("{plural}", 1, (aggregate_table("{plural}", {Name}Row, 80),), CASES)
''',
    "libs/mpcore/tests/test_{name}.py": '''\
"""{Plural}: given what happened, when a command comes, then these events or that refusal."""

from mpschema.{name} import Close{Name}, Open{Name}, Rename{Name}, {Name}Closed, {Name}Opened, {Name}Renamed
from mpschema.rejections import Code

from libs.mpcore.tests.story import Step, acme

OPENED = Step(Open{Name}("First"), "one")


def test_{a_name_}_is_opened_once() -> None:
    story = acme()
    story.when(OPENED).then({Name}Opened("First"))
    story.when(OPENED).then_rejected(Code.ALREADY_EXISTS)


def test_a_closed_{name}_changes_no_more() -> None:
    story = acme().given(OPENED)
    story.when(Step(Rename{Name}("Second"), "one")).then({Name}Renamed("Second"))
    story.when(Step(Close{Name}("done"), "one")).then({Name}Closed("done"))
    story.when(Step(Rename{Name}("Third"), "one")).then_rejected(Code.INVALID_STATE)
''',
}


def words_of(name: str) -> dict[str, str]:
    """Return the words that stand for the name of an aggregate in the skeleton."""
    article, camel = "an" if name[0] in "aeiou" else "a", "".join(part.capitalize() for part in name.split("_"))
    spoken = name.replace("_", " ")
    return {
        "name": name,
        "Name": camel,
        "plural": f"{name}s",
        "Plural": f"{spoken}s".capitalize(),
        "a_name": f"{article} {spoken}",
        "a_name_": f"{article}_{name}",
    }


def scaffold(name: str, root: Path) -> list[Path]:
    """Write the skeleton below `root` and join it to the list of names. Returns the new files.

    Raises `FileExistsError` where there is one of that name, `ValueError` for what is no name.
    """
    if not re.fullmatch(r"[a-z][a-z_]*[a-z]", name):
        raise ValueError(f"{name!r} is no name of an aggregate: small letters and _, in the singular")
    words = words_of(name)
    made = {root / path.format(**words): text.format(**words) for path, text in _FILES.items()}
    if there := [path for path in made if path.exists()]:
        raise FileExistsError(f"{there[0]} exists already")
    for path, text in made.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    _join(root / NAMES, "\n)\n", f'\n    "{name}",\n)\n')
    _join(root / CONTRACTS, " : story : queries", f" : {name} : story : queries")
    return list(made)


def _join(path: Path, place: str, joined: str) -> None:
    text = path.read_text()
    if text.count(place) != 1:
        raise ValueError(f"{path} has no one place {place!r}")
    path.write_text(text.replace(place, joined))


def main() -> int:
    """Make the skeleton, and say what comes next."""
    parser = argparse.ArgumentParser(prog="python -m tests.architecture.scaffold", description=__doc__)
    parser.add_argument("name", metavar="NAME", help="of the aggregate, in the singular: `blueprint`")
    parser.add_argument("--root", type=Path, default=ROOT, help="of the repository  [default: this one]")
    arguments = parser.parse_args()
    try:
        made = scaffold(arguments.name, arguments.root)
    except (FileExistsError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    for path in made:
        print(path.relative_to(arguments.root))
    print("Next: make docs && make test. context/guides/new-aggregate.md goes through the files.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
