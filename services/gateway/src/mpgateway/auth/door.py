"""Admission to a workspace: callers without a standing in it are refused, and leave no trace in it.

No command is sent, so nothing is recorded, no key is spent, and nobody learns whether the workspace exists. Such
refusals are counted, logged by this process, and limited far below what is granted: for each principal and
for each address.
"""

import structlog
from mpschema.ids import is_id
from mpschema.rejections import Code

from mpgateway.auth.access import Access
from mpgateway.auth.refusals import Refusals
from mpgateway.http import HttpRequest
from mpgateway.metrics import TURNED_AWAY
from mpgateway.problems import RequestRefused

log = structlog.get_logger(__name__)


class Door:
    """Lets in who has a role in the workspace, an agent of it, or an operator."""

    def __init__(self, access: Access, refusals: Refusals) -> None:
        self._access = access
        self._refusals = refusals

    def open_to(self, request: HttpRequest, workspace_id: str) -> bool:
        """Tell whether the sender may enter, as far as is known at once."""
        identity = request.identity
        return self._access.may_enter(identity, workspace_id) and (identity.operator or not self._access.lost)

    async def enter(self, request: HttpRequest, workspace_id: str) -> None:
        """Let the sender enter once all is known. Raises `RequestRefused`."""
        if not is_id(workspace_id):
            raise RequestRefused(Code.NOT_FOUND, "there is nothing at this path: a part of it is no id")
        self._refusals.check(request)
        await self._access.settle()
        if not self.open_to(request, workspace_id):
            await self._turn_away(request, "no_role", workspace_id)
            bound = request.identity.workspace_id not in (None, workspace_id)
            here = "this credential belongs to another workspace"
            raise RequestRefused(
                Code.DENIED, here if bound else "there is no such workspace, or you have no role in it"
            )

    async def operate(self, request: HttpRequest) -> None:
        """Let operators of the installation pass, and nobody else. Raises `RequestRefused`."""
        identity = request.identity
        if identity.operator or (identity.workspace_id is None and self._access.is_operator(identity.principal)):
            return
        self._refusals.check(request)
        await self._turn_away(request, "no_operator", "")
        raise RequestRefused(Code.DENIED, f"{identity.principal} is no operator of this installation")

    async def _turn_away(self, request: HttpRequest, why: str, workspace_id: str) -> None:
        TURNED_AWAY.labels(why).inc()
        principal = request.identity.principal
        log.info("door.turned_away", why=why, principal=principal, workspace=workspace_id, address=request.address)
        await self._refusals.count(request)
