"""The rights of roles by a table, with rules for agents and for granting on top. What is not allowed is denied."""

import hashlib
import itertools
from collections.abc import Callable, Mapping

import msgspec
from mpschema.principal import BindRole, IssueKey, Role, UnbindRole
from mpschema.registry import COMMANDS
from mpschema.rejections import Code, Rejection
from mpschema.subjects import SYSTEM_PREFIX

from mpcore.access import agents
from mpcore.access.verdict import Verdict
from mpcore.domain.aggregates import RULES
from mpcore.domain.principal.index import principals, rank
from mpcore.domain.principal.state import AGENT_PREFIX, RANK
from mpcore.state.rules import DecisionContext, Rule, denied


def _commands(allows: Callable[[Rule], bool]) -> frozenset[str]:
    return frozenset(kind for kind, rule in RULES.items() if allows(rule))


ROLE_COMMANDS: Mapping[Role, frozenset[str]] = {
    role: _commands(lambda rule, role=role: role in rule.roles)  # type: ignore[misc]
    for role in Role
    if role is not Role.AGENT
} | {Role.AGENT: _commands(lambda rule: rule.agents is not None)}
"""Role to the commands it may give. `workspace.create` is for the operators of the deployment alone."""
SYSTEM_COMMANDS: Mapping[str, frozenset[str]] = {
    service: _commands(lambda rule, service=service: service in rule.services)  # type: ignore[misc]
    for service in sorted({name for rule in RULES.values() for name in rule.services})
}
"""The commands of the system's own services, in every workspace and without a role in it."""


def service_of(principal: str) -> str:
    """The service a principal is an instance of: `system:webhooks` of `system:webhooks:eu1`."""
    return ":".join(principal.split(":")[:2])


_GRANTS = frozenset({BindRole, UnbindRole, IssueKey})
_AGENT = Role.AGENT
_OPERATOR = Verdict(None, "operator", ("deployment:operator",))
_AGENT_ALLOWED = Verdict(None, "agent", (f"role:{_AGENT}",))
_WITHOUT_ROLE = (AGENT_PREFIX, SYSTEM_PREFIX)


class RoleAuthorizer:
    """Authorizes by the role table. A principal with several roles may do what any of them may."""

    def __init__(self, table: Mapping[Role, frozenset[str]] = ROLE_COMMANDS) -> None:
        descending = sorted(Role, key=lambda role: -RANK[role])
        held = [roles for n in range(len(Role) + 1) for roles in itertools.combinations(descending, n)]
        self._table = table
        self._allowed = {roles: _verdicts(table, roles) for roles in held}
        may = {kind: [role for role in descending if role is not _AGENT and kind in table[role]] for kind in COMMANDS}
        self._needs = {kind: " or ".join(reversed(roles)) for kind, roles in may.items()}
        """Command to the roles that may give it, the lowest first."""
        self._anywhere = table[Role.OPERATOR] | {"workspace.create"}

    @property
    def digest(self) -> str:
        """SHA-256 of the table's canonical JSON: roles, services and commands in alphabetical order."""
        table = {name: sorted(commands) for name, commands in sorted([*self._table.items(), *SYSTEM_COMMANDS.items()])}
        return hashlib.sha256(msgspec.json.encode(table)).hexdigest()

    def authorize(self, context: DecisionContext) -> Verdict:
        """See `Authorizer.authorize`."""
        envelope = context.envelope
        principal, kind = envelope.principal, envelope.type
        if principal.startswith(_WITHOUT_ROLE):
            return self._authorize_without_role(context, principal, kind)
        if principal in context.draft.world.operators and kind in self._anywhere:
            return _granted(context, _OPERATOR)
        state = principals(context.draft.tenant).by_id.get(principal)
        roles = state.roles if state is not None else ()
        verdict = self._allowed[roles].get(kind)
        if verdict is None:
            # Who has no role here learns nothing: not even that there is a workspace.
            return Verdict(denied(envelope, self._needs.get(kind, "") if roles else ""), "role")
        if roles[0] is _AGENT:
            return _of_agent(context, envelope.session_id)
        return _granted(context, verdict)

    def _authorize_without_role(self, context: DecisionContext, principal: str, kind: str) -> Verdict:
        """An agent may do what its session may, a service what the table says."""
        if principal.startswith(SYSTEM_PREFIX):
            service = service_of(principal)
            if kind in SYSTEM_COMMANDS.get(service, ()):
                return Verdict(None, "service", (f"service:{service}",))
            return Verdict(denied(context.envelope), "service")
        if kind not in self._table[_AGENT]:
            return Verdict(denied(context.envelope), "agent")
        return _of_agent(context, principal.removeprefix(AGENT_PREFIX))


def _verdicts(table: Mapping[Role, frozenset[str]], roles: tuple[Role, ...]) -> dict[str, Verdict]:
    """The verdict on each command that some of these roles may give, by those roles."""
    kinds = frozenset[str]().union(*(table[role] for role in roles))
    return {
        kind: Verdict(None, "role", tuple(f"role:{role}" for role in roles if kind in table[role])) for kind in kinds
    }


def _of_agent(context: DecisionContext, session_id: str | None) -> Verdict:
    refusal = agents.authorize(context, session_id)
    return _AGENT_ALLOWED if refusal is None else Verdict(refusal, "agent")


def _granted(context: DecisionContext, verdict: Verdict) -> Verdict:
    """The same verdict, unless it is about a grant of more than the caller has."""
    if type(context.arguments) not in _GRANTS:
        return verdict
    refusal = _ungrantable(context)
    return verdict if refusal is None else Verdict(refusal, verdict.standing)


def _ungrantable(context: DecisionContext) -> Rejection | None:
    """Refuse a grant that the caller may not give or take.

    Nobody grants more than it has, or keys to who stands higher.
    """
    world, tenant, arguments = context.draft.world, context.draft.tenant, context.arguments
    own = rank(world, tenant, context.envelope.principal)
    if isinstance(arguments, BindRole | UnbindRole):
        if own >= RANK[arguments.role]:
            return None
        return Rejection(Code.AUTHORITY_EXCEEDED, f"the role {arguments.role} is above the caller's own")
    foreign = context.target in world.operators and context.envelope.principal not in world.operators
    if own >= rank(world, tenant, context.target) and not foreign:
        return None
    return Rejection(Code.AUTHORITY_EXCEEDED, f"{context.target} stands above the caller")
