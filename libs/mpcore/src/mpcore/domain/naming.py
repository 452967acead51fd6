"""Names in commands: from feature level 3 on they are recorded in one form, and what nobody sees is refused in them.

Names that were recorded before keep working: a name that refers to something is looked for as it is first, then as it
looks.
"""

from collections.abc import Callable
from typing import Any

from mpschema import names
from mpschema.base import Command
from mpschema.levels import NAMES_LEVEL
from mpschema.rejections import Code, Rejection
from msgspec.structs import replace

from mpcore.state.world import World

NAME_MAX = 200


def as_seen(world: World) -> bool:
    """Tell whether names are compared as people see them."""
    return world.feature_level >= NAMES_LEVEL


def name_in(field: str) -> Callable[[Any], Command | Rejection]:
    """For `Rule.names`: this field of the command gives a name, where it is not None."""

    def named(arguments: Command) -> Command | Rejection:
        name = getattr(arguments, field)
        if name is None or names.plain(name):
            return arguments
        canonical = names.canonical(name)
        return unfit(canonical) or replace(arguments, **{field: canonical})

    return named


def unfit(*given: str) -> Rejection | None:
    """Refuse what is no name among these, each in its canonical form; None where all are."""
    for name in given:
        if why := names.unfit(name) or _too_long(name):
            return Rejection(Code.SCHEMA_INVALID, why)
    return None


def same(world: World, one: str, other: str) -> bool:
    """Tell whether two names are one."""
    return one == other or (as_seen(world) and names.folded(one) == names.folded(other))


def _too_long(name: str) -> str:
    """A composed name can have more characters than it came with: what is recorded must fit its event."""
    return "" if len(name) <= NAME_MAX else f"a name has at most {NAME_MAX} characters, in its composed form"
