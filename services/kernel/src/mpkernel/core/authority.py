"""Who is speaking: with which rank, and for which session."""

from mpschema.envelope import CommandEnvelope
from mpschema.principal import Role
from mpschema.rejections import Code, Rejection

from mpkernel.core.principal import AGENT_PREFIX, RANK
from mpkernel.core.rules import AccessRequest
from mpkernel.core.states import Session
from mpkernel.core.world import Space, World

_AGENT_RANK, _OPERATOR_RANK = RANK[Role.AGENT], RANK[Role.OPERATOR]


def rank(world: World, space: Space, principal: str) -> int:
    """How high the principal stands in the workspace (`principal.RANK`; 0 without a role)."""
    state = space.principals.get(principal)
    own = RANK[state.roles[0]] if state is not None and state.roles else 0
    return max(own, _OPERATOR_RANK) if principal in world.operators else own


def acting_session(request: AccessRequest) -> Session | None:
    """The session that an agent speaks for; None for everyone with a higher role, who speaks for itself."""
    envelope, space = request.envelope, request.space
    principal = envelope.principal
    if not principal.startswith(AGENT_PREFIX) and rank(request.world, space, principal) > _AGENT_RANK:
        return None
    return None if envelope.session_id is None else space.sessions.get(envelope.session_id)


def voice(request: AccessRequest, session: Session | None) -> str:
    """The name under which the caller is heard: an agent as its session, whoever runs it."""
    return request.envelope.principal if session is None else AGENT_PREFIX + session.id


def denied(envelope: CommandEnvelope, needs: str = "") -> Rejection:
    """The refusal that gives nothing away: it says the same whether the thing exists or not.

    `needs` names the roles that may.
    """
    told = f"{envelope.principal} may not {envelope.type} here"
    return Rejection(Code.DENIED, f"{told}: that takes the role {needs}" if needs else told)
