"""Commands that the kernel's code fails on: one ends every process that decides it, one makes the decision raise."""

from mpcore.access.policy import RoleAuthorizer
from mpcore.access.verdict import Verdict
from mpcore.state.rules import DecisionContext

from tests.simulation.node import Node

KILLS, RAISES = "kills", "raises"
"""The ending of the id of such a command."""


class Riddled(RoleAuthorizer):
    """The kernel's authorizer, with two bugs."""

    def __init__(self, node: Node) -> None:
        super().__init__()
        self._node = node

    def authorize(self, context: DecisionContext) -> Verdict:
        """See `Authorizer`."""
        command_id = context.envelope.command_id
        if command_id.endswith(KILLS):
            self._node.faults["killed by a line"] += 1
            self._node.crash()
        if command_id.endswith(RAISES):
            self._node.faults["decision raised"] += 1
            raise ValueError("a riddle")
        return super().authorize(context)
