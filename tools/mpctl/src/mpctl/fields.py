"""From the fields of a command's arguments to command line options, and back to the arguments.

Scalars become options of their type, enums choices, tuples repeated options, nested structs JSON. What was not given
is left out of the payload, so that the schema's defaults hold.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import msgspec
from msgspec import inspect as shapes

_BOUNDLESS = 10**12
"""A bound beyond this is not worth showing; the server holds it anyway."""
REFERENCES = ("project", "board", "session", "parent", "task")
"""`--project` is another name of `--project-id`, and so on."""


class JsonText(click.ParamType[Any]):
    """A nested value as JSON, or `@FILE` to read it from a file; checked against the type it must become."""

    name = "json"

    def __init__(self, becomes: Any) -> None:
        self.becomes = becomes

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The value in plain types. Fails as a usage error."""
        if not isinstance(value, str):
            return value
        try:
            text = Path(value[1:]).read_text() if value.startswith("@") else value
            return msgspec.to_builtins(msgspec.json.decode(text.encode(), type=self.becomes))
        except (OSError, msgspec.DecodeError) as error:
            self.fail(f"{value!r} does not fit: {error}", param, ctx)


@dataclass(frozen=True)
class FieldOption:
    """One field of the arguments as an option."""

    field: shapes.Field
    shape: shapes.Type
    """Without `None` around it."""
    nullable: bool

    @property
    def name(self) -> str:
        """The field's name, and that of the parameter."""
        return self.field.name

    @property
    def repeated(self) -> bool:
        """True if the option may be given more than once."""
        return isinstance(self.shape, shapes.VarTupleType)

    @property
    def flag(self) -> str:
        """The name the option is shown under: `--label` for `labels`, `--project` for `project_id`."""
        return self.flags[0]

    @property
    def flags(self) -> tuple[str, ...]:
        """Every name of the option."""
        whole = "--" + self.name.replace("_", "-")
        stem = self.name.removesuffix("_id")
        if stem != self.name and stem in REFERENCES:
            return f"--{stem}", whole
        return (whole.removesuffix("s"), whole) if self.repeated and whole.endswith("s") else (whole,)

    @property
    def emptying_flag(self) -> str | None:
        """The flag that says "none at all", where leaving the option out means something else."""
        may_be_empty = isinstance(self.shape, shapes.VarTupleType) and not self.shape.min_length
        meaning_differs = self.nullable or self.field.required
        return "--no-" + self.name.replace("_", "-") if may_be_empty and meaning_differs else None

    def parameters(self) -> list[click.Parameter]:
        """The click options of this field."""
        item = self.shape.item_type if isinstance(self.shape, shapes.VarTupleType) else self.shape
        option = click.Option(
            [*self.flags, self.name],
            type=_click_type(item),
            multiple=self.repeated,
            required=self.field.required and self.emptying_flag is None,
            help=_help(self),
            metavar=_metavar(self, item),
        )
        if self.emptying_flag is None:
            return [option]
        return [option, click.Option([self.emptying_flag, f"no_{self.name}"], is_flag=True, help=f"No {self.name}.")]

    def words(self, value: Any) -> list[str]:
        """Return the words to type for a value of this field."""
        values = list(value) if self.repeated else [value]
        if not values and self.emptying_flag:
            return [self.emptying_flag]
        return [word for item in values for word in (self.flag, _typed(item))]


def field_options(arguments: type[msgspec.Struct]) -> list[FieldOption]:
    """The options of a command's arguments, in the order of their fields."""
    info = shapes.type_info(arguments)
    assert isinstance(info, shapes.StructType)
    return [FieldOption(field, *_without_none(field.type)) for field in info.fields]


def payload(options: Sequence[FieldOption], given: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments as plain values: only what was given."""
    found: dict[str, Any] = {}
    for option in options:
        value = given.get(option.name)
        if given.get(f"no_{option.name}"):
            if value:
                raise click.UsageError(f"{option.flag} and {option.emptying_flag} exclude each other")
            found[option.name] = []
        elif value is not None and value != ():
            found[option.name] = list(value) if option.repeated else value
        elif option.field.required:
            raise click.UsageError(f"Missing option '{option.flag}' (or {option.emptying_flag}).")
    return found


def _without_none(shape: shapes.Type) -> tuple[shapes.Type, bool]:
    """The type inside `| None` and inside metadata, and whether there was a `None`."""
    if isinstance(shape, shapes.Metadata):
        return _without_none(shape.type)
    if isinstance(shape, shapes.UnionType):
        others = [each for each in shape.types if not isinstance(each, shapes.NoneType)]
        assert len(others) == 1, f"an option cannot be {shape}"
        return _without_none(others[0])[0], True
    return shape, False


def _described(shape: shapes.Type) -> str:
    if isinstance(shape, shapes.Metadata):
        return str((shape.extra_json_schema or {}).get("description", "")) or _described(shape.type)
    if isinstance(shape, shapes.UnionType):
        return next(filter(None, map(_described, shape.types)), "")
    return ""


def _click_type(shape: shapes.Type) -> click.ParamType[Any]:
    shape, _ = _without_none(shape)
    match shape:
        case shapes.EnumType(cls=kinds):
            return click.Choice([member.value for member in kinds])
        case shapes.IntType(ge=least, le=most):
            return click.IntRange(least, None if most is None or most >= _BOUNDLESS else most)
        case shapes.BoolType():
            return click.BOOL
        case shapes.StrType():
            return click.STRING
        case shapes.StructType(cls=becomes):
            return JsonText(becomes)
    raise AssertionError(f"no option is known for {shape}")


def _metavar(option: FieldOption, item: shapes.Type) -> str | None:
    item, _ = _without_none(item)
    if isinstance(item, shapes.StructType):
        return "JSON"
    return "ID" if option.name.endswith("_id") or option.name == "to" else None


def _help(option: FieldOption) -> str:
    notes = [_described(option.field.type)]
    if option.name == "project_id":
        notes = ["name or id of a project"]
    elif isinstance(option.shape, shapes.StructType | shapes.VarTupleType):
        notes = [_nested_help(option.shape)]
    if option.repeated:
        notes.append("may be repeated")
    default = option.field.default
    if not option.field.required and default not in (None, "", (), msgspec.NODEFAULT):
        notes.append(f"default {default}")
    return "; ".join(note for note in notes if note)


def _nested_help(shape: shapes.Type) -> str:
    if isinstance(shape, shapes.VarTupleType):
        shape = _without_none(shape.item_type)[0]
    if not isinstance(shape, shapes.StructType):
        return ""
    fields = ", ".join(field.name if field.required else f"{field.name}?" for field in shape.fields)
    return f"{{{fields}}} as JSON, or @FILE"


def _typed(value: Any) -> str:
    if isinstance(value, enum.Enum):
        return str(value.value)
    if isinstance(value, msgspec.Struct):
        return json.dumps(msgspec.to_builtins(value))
    return str(value)
