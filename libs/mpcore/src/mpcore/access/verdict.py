"""The answer of policy to a request: allowed or not, on whose standing, and by which policies."""

from typing import NamedTuple, Protocol

from mpschema.rejections import Rejection

from mpcore.state.rules import DecisionContext


class Verdict(NamedTuple):
    """The answer of policy to one request."""

    refusal: Rejection | None
    """The reason against it; None where it is allowed."""
    standing: str
    """The class of the decision: `role`, `operator`, `agent`, `service` or `kernel`."""
    policies: tuple[str, ...] = ()
    """The ids of the policies that determined it."""

    @property
    def allowed(self) -> bool:
        """True where the request may go on to be decided."""
        return self.refusal is None


class Authorizer(Protocol):
    """Judges requests. Pure: the same request on the same state gets the same verdict."""

    @property
    def digest(self) -> str:
        """SHA-256 of the policy it decides by, lower-case hex."""
        ...

    def authorize(self, context: DecisionContext) -> Verdict:
        """Say whether this caller may give this command."""
        ...
