"""The words about a sweep: what ends with a scope, where that is more than one commit takes."""

import enum
from typing import Annotated, ClassVar

import msgspec

from mpschema.base import Command, Event, Id, TimeMs
from mpschema.levels import HOUSE_LEVEL
from mpschema.vocabulary import Vocabulary, command

Count = Annotated[int, msgspec.Meta(ge=0)]


class SweepKind(enum.StrEnum):
    """The things that a sweep ends."""

    DESCENDANTS = "descendants"
    """The live sessions below a session that ended, with their claims."""
    CLAIMS = "claims"
    """The claims of a session that ended."""
    PROJECT = "project"
    """The live sessions of a project that was archived, with their claims."""
    WORKSPACE = "workspace"
    """The live sessions of a workspace that was archived, with their claims."""


class BeginSweep(Command, frozen=True):
    """Begin to end what ends with a scope."""

    kind: SweepKind
    scope: Id


class AdvanceSweep(Command, frozen=True):
    """Take the next step of a sweep."""


class SweepBegun(Event, frozen=True):
    since_level: ClassVar[int] = HOUSE_LEVEL
    kind: SweepKind
    scope: Annotated[Id, msgspec.Meta(description="the session, project or workspace that ended")]
    due_ms: Annotated[TimeMs, msgspec.Meta(description="a sweep that still runs then is late")]


class SweepAdvanced(Event, frozen=True):
    since_level: ClassVar[int] = HOUSE_LEVEL
    done: Annotated[Count, msgspec.Meta(description="things that were swept before this step")]


class SweepEnded(Event, frozen=True):
    since_level: ClassVar[int] = HOUSE_LEVEL
    done: Annotated[Count, msgspec.Meta(description="things that were swept")]


VOCABULARY = Vocabulary(
    name="sweep",
    plural="sweeps",
    projection="sessions",
    about="Sweeps: what ends step by step with a session, a project or a workspace.",
    kernel_commands=(
        command("sweep.begin", BeginSweep, SweepBegun, creates=True),
        command("sweep.advance", AdvanceSweep, SweepAdvanced, SweepEnded),
    ),
    events=(SweepBegun, SweepAdvanced, SweepEnded),
)
