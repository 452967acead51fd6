"""The rights of the kernel itself: what follows from events, and nothing else. No tenant can edit them."""

from mpcore.access.verdict import Verdict
from mpcore.domain.aggregates import FOLLOW_UPS
from mpcore.state.rules import DecisionContext, denied

_ALLOWED = Verdict(None, "kernel", ("kernel:follow-up",))


class KernelAuthorizer:
    """Allows the commands that only the kernel gives."""

    digest = ""

    def authorize(self, context: DecisionContext) -> Verdict:
        """See `Authorizer.authorize`."""
        if context.envelope.type in FOLLOW_UPS:
            return _ALLOWED
        return Verdict(denied(context.envelope), "kernel")


KERNEL_AUTHORIZER = KernelAuthorizer()
