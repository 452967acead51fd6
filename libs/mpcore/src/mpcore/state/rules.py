"""The shape of a transition: from which states a command leads where. Each aggregate states its own as a table."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import msgspec
from mpschema.base import Command, Event
from mpschema.envelope import CommandEnvelope, EventRecord
from mpschema.principal import Role
from mpschema.rejections import Code, Rejection

from mpcore.state.facts import Decision, Fact
from mpcore.state.tenant import Tenant
from mpcore.state.world import World

WORK = frozenset({Role.OWNER, Role.OPERATOR, Role.DEVELOPER})
"""The roles of who does the work of a workspace."""
TENANCY = frozenset({Role.OWNER, Role.OPERATOR})
"""The roles of who keeps the workspace itself."""
OWNERS = frozenset({Role.OWNER})
NOBODY: frozenset[Role] = frozenset()
"""No role of a workspace: it is for the deployment's operators, or for a service."""


class Inputs(msgspec.Struct, frozen=True, gc=False):
    """The values from outside of the state that a decision rests on. They are recorded with it."""

    now_ms: int
    """The kernel's time."""


class Draft(Protocol):
    """The state of one workspace, with the facts of this decision so far."""

    @property
    def world(self) -> World:
        """The whole shard."""
        ...

    @property
    def tenant(self) -> Tenant:
        """The workspace; empty where the command is about to create it."""
        ...

    def record(self, fact: Fact) -> EventRecord:
        """Record a fact at once, so that the rest of the decision sees it. A refusal rolls it back."""
        ...


class DecisionContext(msgspec.Struct, frozen=True, gc=False):
    """One command, with everything that its decision may look at."""

    inputs: Inputs
    draft: Draft
    envelope: CommandEnvelope
    target: str
    arguments: Command


AgentRule = Callable[[DecisionContext, Any, Any], Rejection | None]
"""Of the context, the agent's session and the arguments: why not, or None."""


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """The rule of one command: how it is decided, and all else that is said of it.

    `sources` are the states in which it is allowed (none: it creates, or its aggregate has no states), `targets` those
    it may lead to (none: the state stays). `guard` is asked before the state is looked at.
    """

    decide: Callable[[Any, Any, DecisionContext], Decision]
    """Of the state (None where there is none yet), the arguments and the context."""
    sources: frozenset[str] = frozenset()
    targets: tuple[str, ...] = ()
    guard: Callable[[Any, DecisionContext], Rejection | None] | None = None
    absent_too: bool = False
    """True where it may also be given to what does not exist yet, though it is no creation."""
    names: Callable[[Any], Command | Rejection] | None = None
    """The arguments with the names that they give as they are recorded, or why one is no name. None: it gives none."""
    roles: frozenset[Role] = WORK
    """The roles that may give it, but for agents."""
    agents: AgentRule | None = None
    """For what an agent may give it. None: for nothing."""
    services: frozenset[str] = frozenset()
    """The services of the system that may give it, in every workspace."""
    by_kernel: bool = False
    """True where the kernel alone gives it, because of something that happened. No gate of a workspace holds it up."""
    ungated_since: int | None = None
    """The feature level from which it is answered in a frozen or archived workspace, too. None: it is not."""


Rules = Mapping[type[Command], Rule]
"""A table of transitions: command to its rule."""

Evolve = Callable[[Any, Any, Any], Any]
"""Of the state (None before the first fact), the event and its record: the state after it. Never refuses."""
Evolves = Mapping[type[Event], Evolve]
"""A table of facts: event to what it makes of the state."""


def denied(envelope: CommandEnvelope, needs: str = "") -> Rejection:
    """The refusal that gives nothing away: it says the same whether the thing exists or not.

    `needs` names the roles that may.
    """
    told = f"{envelope.principal} may not {envelope.type} here"
    return Rejection(Code.DENIED, f"{told}: that takes the role {needs}" if needs else told)


def older(world: World, what: str, level: int) -> Rejection:
    """Refuse what builds that still run could not read. The code is one that they can read."""
    detail = f"{what} needs feature level {level}, and the log is at {world.feature_level}"
    return Rejection(Code.INVALID_STATE, f"{detail}: an operator raises it by `mpctl upgrade finalize`")
