"""Writes `mpclient.generated` from the registry: a class per noun with a typed method per command and query.

`python -m mpclient.generate` writes it, `--check` fails where the file and the registry disagree.
"""

import argparse
import enum
import subprocess
import sys
import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from mpschema.api import Page
from mpschema.envelope import Outcome
from mpschema.openapi.commands import ANSWERS
from mpschema.queries import QUERIES
from mpschema.registry import AGGREGATES, ALL_COMMANDS, LOG_COMMANDS
from mpschema.rows import QuerySpec
from mpschema.system import LOG
from mpschema.vocabulary import CommandSpec

TARGET = Path(__file__).parent / "generated.py"
NOUNS = AGGREGATES | {LOG: LOG, "command": "commands", "event": "history", "projection": "projections"}
"""Aggregate to the attribute of the client; the stream itself is `client.events`."""
_HEAD = '''"""A typed method per command and query. Written by `python -m mpclient.generate`: never edited by hand."""
'''
_AS_OF = "at_seq: int | None = None, at: dt.datetime | None = None"
"""The parameters of time travel: after an event, or at a moment."""
_ORDER = 'order: Order = "asc"'
_GIVEN = "order=order, limit=limit, after=after"
"""The arguments that every list passes on."""


@dataclass(frozen=True)
class Flavour:
    """The differences of one client's code from the other's."""

    prefix: str
    defining: str
    awaiting: str
    generator: str


FLAVOURS = (
    Flavour("Async", "async def", "await ", "AsyncGenerator[{row}, None]"),
    Flavour("", "def", "", "Generator[{row}, None, None]"),
)


class Imports:
    """The names that the rendered code imports."""

    def __init__(self) -> None:
        self._names: dict[str, set[str]] = {}
        self.literals: dict[str, str] = {}

    def name(self, kind: type) -> str:
        """A class by its name, imported."""
        if kind.__module__ != "builtins":
            self._names.setdefault(kind.__module__, set()).add(kind.__name__)
        return kind.__name__

    def words(self, kind: type[enum.Enum]) -> str:
        """The alias for the members of an enumeration as words."""
        self.literals[f"{kind.__name__}Word"] = ", ".join(repr(member.value) for member in kind)
        return f"{kind.__name__}Word"

    def lines(self) -> Iterator[str]:
        """The import lines."""
        for module, names in sorted(self._names.items()):
            yield f"from {module} import {', '.join(sorted(names))}"


@dataclass(frozen=True)
class Shape:
    """The spelling of a type in a signature, and the conversion of its values for the wire (`{}` is the value)."""

    annotation: str
    conversion: str = "{}"


def shape_of(kind: Any, imports: Imports) -> Shape:
    """The shape of a field's type (without its constraints)."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        (inner,) = [shape_of(each, imports) for each in arguments if each is not type(None)]
        converted = "{}" if inner.conversion == "{}" else f"None if {{}} is None else {inner.conversion}"
        return Shape(f"{inner.annotation} | None", converted)
    if origin is tuple:
        item = shape_of(arguments[0], imports)
        each = "tuple({})" if item.conversion == "{}" else f"tuple({item.conversion.format('each')} for each in {{}})"
        return Shape(f"Sequence[{item.annotation}]", each)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return Shape(f"{imports.name(kind)} | {imports.words(kind)}", f"{kind.__name__}({{}})")
    return Shape(imports.name(kind))


def signature(fields: list[tuple[str, Shape, Any]]) -> str:
    """Return the keyword parameters; Python allows any order of defaults among keywords."""
    return ", ".join(
        f"{name}: {shape.annotation}" + ("" if default is msgspec.NODEFAULT else f" = {_literal(default)}")
        for name, shape, default in fields
    )


def command_method(spec: CommandSpec, flavour: Flavour, imports: Imports) -> str:
    """The method of one command."""
    hints = typing.get_type_hints(spec.arguments)
    fields = [
        (field.name, shape_of(hints[field.name], imports), field.default)
        for field in msgspec.structs.fields(spec.arguments)
    ]
    own = spec.aggregate == "workspace" and not spec.creates
    fixed = spec.command_type in LOG_COMMANDS
    target = ("id: str | None = None" if own else "id: str") if not spec.creates and not fixed else ""
    keywords = ", ".join(filter(None, ["id: str | None = None" if spec.creates else "", signature(fields)]))
    parts = ["self", target, f"*, {keywords}" if keywords else "", "**options: Unpack[CommandOptions]"]
    arguments = ", ".join(f"{name}={_converted(shape, name)}" for name, shape, _ in fields)
    answer = imports.name(ANSWERS.get(spec.command_type, Outcome))
    place = "LOG" if fixed else "id" if target == "id: str" else 'id or ""'
    sent = f'"{spec.command_type}", {place}, {imports.name(spec.arguments)}({arguments}), **options'
    call = f"{flavour.awaiting}self._client.command({sent})"
    returned = call if answer == "Outcome" else f"cast({answer}, {call})"
    return _method(flavour.defining, spec.action, parts, answer, spec.summary, f"return {returned}")


def query_methods(spec: QuerySpec, flavour: Flavour, imports: Imports) -> Iterator[str]:
    """The method of one query; a list has a second one, that goes through all pages."""
    row = imports.name(spec.row)
    own = spec.query_type == "workspace.get"
    target = "id: str | None = None" if own else "id: str" if "{id}" in spec.route else ""
    named = f'"{spec.query_type}"' + (', id or ""' if own else ", id" if target else "")
    if not spec.many:
        body = f"return {flavour.awaiting}self._client.row({row}, {named}, after=after, at_seq=at_seq, at=at)"
        parts = ["self", target, f"*, after: After = None, {_AS_OF}"]
        yield _method(flavour.defining, spec.action, parts, row, spec.summary, body)
        return
    hints = typing.get_type_hints(spec.row)
    filters = [(name, _optional(shape_of(hints[name], imports)), None) for name in spec.filters]
    given = "".join(f", {name}={name}" for name in spec.filters)
    asked = signature(filters)
    paging = ["*", asked, _ORDER, "limit: int | None = None", "cursor: str | None = None", "after: After = None"]
    body = f"return {flavour.awaiting}self._client.page({row}, {named}, {_GIVEN}, cursor=cursor{given})"
    yield _method(flavour.defining, spec.action, ["self", target, *paging], f"Page[{row}]", spec.summary, body)
    name = "iterate" if spec.action == "list" else f"iterate_{spec.action}"
    body = f"return self._client.pages({row}, {named}, {_GIVEN}{given})"
    summary = f"{spec.summary.removesuffix('.')}: all of them, page by page."
    parts = ["self", target, "*", asked, _ORDER, "limit: int | None = None", "after: After = None"]
    yield _method("def", name, parts, flavour.generator.format(row=row), summary, body)


def noun(aggregate: str, flavour: Flavour, imports: Imports) -> str:
    """The class of one noun."""
    plural = NOUNS[aggregate]
    methods = [command_method(spec, flavour, imports) for spec in ALL_COMMANDS.values() if spec.aggregate == aggregate]
    for query in QUERIES.values():
        if query.aggregate == aggregate:
            methods += query_methods(query, flavour, imports)
    client = f"{flavour.prefix}Caller"
    head = f'class {flavour.prefix}{plural.title()}:\n    """Commands and queries about {plural}."""\n\n'
    head += f"    def __init__(self, client: {client}) -> None:\n        self._client = client\n"
    return head + "".join(f"\n{method}" for method in methods)


def caller(flavour: Flavour) -> str:
    """Return the protocol that the nouns require of their client."""
    define, returns = flavour.defining, flavour.generator.format(row="R")
    query = 'kind: type[R], query_type: str, target: str = "", /, *, after: After = None'
    return f'''class {flavour.prefix}Caller(Protocol):
    """The operations that the nouns require of their client."""

    {define} command(
        self, command_type: str, target: str, arguments: Arguments, **options: Unpack[CommandOptions]
    ) -> Outcome: ...
    {define} row(self, {query}, {_AS_OF}) -> R: ...
    {define} page(self, {query}, **params: Any) -> Page[R]: ...
    def pages(self, {query}, **params: Any) -> {returns}: ...
'''


def nouns(flavour: Flavour) -> str:
    """The class that carries every noun as an attribute."""
    attributes = "".join(
        f"        self.{plural} = {flavour.prefix}{plural.title()}(client)\n" for plural in NOUNS.values()
    )
    return (
        f'class {flavour.prefix}Nouns:\n    """Every noun, as an attribute of the client."""\n\n'
        f"    def __init__(self, client: {flavour.prefix}Caller) -> None:\n{attributes}"
    )


def rendered() -> str:
    """The whole module, formatted as all our code is."""
    formatter = [sys.executable, "-m", "ruff", "format", "--isolated", "--line-length", "120", "-"]
    return subprocess.run(formatter, input=_render(), capture_output=True, text=True, check=True).stdout


def _render() -> str:
    imports = Imports()
    parts = []
    for flavour in FLAVOURS:
        parts.append(caller(flavour))
        parts += [noun(aggregate, flavour, imports) for aggregate in NOUNS]
        parts.append(nouns(flavour))
    for kind in (Outcome, Page):
        imports.name(kind)
    head = [
        _HEAD,
        "import datetime as dt",
        "from collections.abc import AsyncGenerator, Generator, Sequence",
        "from typing import Any, Literal, Protocol, TypeAlias, Unpack, cast\n",
        *imports.lines(),
        "",
        "from mpschema.system import LOG\n",
        "from mpclient.calls import After, Arguments, CommandOptions, Order, R\n",
        *(f"{name}: TypeAlias = Literal[{words}]" for name, words in sorted(imports.literals.items())),
    ]
    return "\n".join(head) + "\n\n\n" + "\n\n".join(parts)


def main(arguments: list[str] | None = None) -> int:
    """The command line. Returns the exit code: 1 where `--check` finds a difference."""
    parser = argparse.ArgumentParser(prog="python -m mpclient.generate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, fail on a difference")
    check: bool = parser.parse_args(arguments).check
    wanted = rendered()
    if check:
        same = TARGET.exists() and TARGET.read_text("utf-8") == wanted
        print("up to date" if same else "differs: run python -m mpclient.generate")
        return 0 if same else 1
    TARGET.write_text(wanted, "utf-8")
    return 0


def _method(define: str, name: str, parts: list[str], answer: str, summary: str, body: str) -> str:
    parameters = ", ".join(part for part in parts if part)
    return f'    {define} {name}({parameters}) -> {answer}:\n        """{summary}"""\n        {body}\n'


def _optional(shape: Shape) -> Shape:
    return shape if shape.annotation.endswith("| None") else Shape(f"{shape.annotation} | None")


def _converted(shape: Shape, name: str) -> str:
    return shape.conversion.replace("{}", name)


def _literal(value: Any) -> str:
    return repr(value.value) if isinstance(value, enum.Enum) else repr(value)


if __name__ == "__main__":
    sys.exit(main())
