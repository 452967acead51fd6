"""Names in commands: from feature level 3 on they are recorded in one form, and what nobody sees is refused in them.

Names that were recorded before keep working: a name that refers to something is looked for as it is first, then as it
looks.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from mpschema import names
from mpschema.base import Command
from mpschema.board import AddColumn, Column, CreateBoard, LimitColumn, MapColumn, ReorderColumns
from mpschema.channel import OpenChannel
from mpschema.levels import NAMES_LEVEL
from mpschema.project import CreateProject
from mpschema.rejections import Code, Rejection
from mpschema.session import SpawnSession
from mpschema.task import CreateTask, EditTask
from mpschema.workspace import CreateWorkspace, RenameWorkspace
from msgspec.structs import replace

from mpkernel.core.world import World

NAME_MAX = 200

GIVES: Mapping[type[Command], str] = {
    CreateWorkspace: "name",
    RenameWorkspace: "name",
    CreateProject: "name",
    CreateBoard: "name",
    AddColumn: "column",
    CreateTask: "title",
    EditTask: "title",
    OpenChannel: "name",
}
"""Commands that give something a name, and the field that says it. The columns of a new board have names, too."""
REFERS: frozenset[type[Command]] = frozenset({MapColumn, LimitColumn, ReorderColumns, SpawnSession})
"""Commands that name what has its name already: a column, or a blueprint, which is a file of somebody else's."""


def as_seen(world: World) -> bool:
    """Whether names are compared as people see them."""
    return world.feature_level >= NAMES_LEVEL


def named(world: World, arguments: Command) -> Command | Rejection:
    """The command with its names as they are recorded, or why one of them is no name."""
    given = GIVES.get(type(arguments))
    if given is None or not as_seen(world):
        return arguments
    changed: dict[str, Any] = {}
    name = getattr(arguments, given)
    if not isinstance(arguments, CreateBoard) and (name is None or names.plain(name)):
        return arguments
    if name is not None:
        changed[given] = names.canonical(name)
    if isinstance(arguments, CreateBoard):
        changed["columns"] = tuple(_column(column) for column in arguments.columns)
    for each in _texts(changed.values()):
        if why := names.unfit(each) or _too_long(each):
            return Rejection(Code.SCHEMA_INVALID, why)
    return replace(arguments, **changed)


def same(world: World, one: str, other: str) -> bool:
    """Whether two names are one."""
    return one == other or (as_seen(world) and names.folded(one) == names.folded(other))


def _column(column: Column) -> Column:
    return replace(column, name=names.canonical(column.name))


def _texts(values: Iterable[Any]) -> Iterable[str]:
    for value in values:
        if isinstance(value, str):
            yield value
        else:
            yield from (column.name for column in value)


def _too_long(name: str) -> str:
    """A composed name can have more characters than it came with: what is recorded must fit its event."""
    return "" if len(name) <= NAME_MAX else f"a name has at most {NAME_MAX} characters, in its composed form"
