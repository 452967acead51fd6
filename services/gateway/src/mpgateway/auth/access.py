"""Who may read what: any role in the workspace opens its read models and events; writing is the kernel's to judge."""

import time

from mpschema.rejections import Code

from mpgateway.auth.identity import Identity
from mpgateway.database import CaughtUp, ReadModels, scoped
from mpgateway.problems import Refused

FRESH_SECONDS = 2.0
REMEMBERED_MAX = 50_000
_ROLES = scoped("mp.principal", "SELECT roles FROM mp.principals WHERE id = scope.value AND workspace_id = $2")


def check_bounds(identity: Identity, workspace_id: str) -> None:
    """A credential made for one workspace is good in no other. Raises `Refused`."""
    if identity.workspace_id is not None and identity.workspace_id != workspace_id:
        raise Refused(Code.DENIED, "this credential belongs to another workspace")


class Access:
    """Asks the read models for role bindings, and remembers a yes for two seconds.

    A no counts only once the read models know all that this process has read of the log: whoever just made a workspace
    may read it.
    """

    def __init__(self, read_models: ReadModels, caught_up: CaughtUp) -> None:
        self._read_models = read_models
        self._caught_up = caught_up
        self._granted: dict[tuple[str, str], float] = {}

    async def check_read(self, identity: Identity, workspace_id: str) -> None:
        """Raises `Refused` (`denied`) unless the identity may read the workspace, or `ReadModelsUnavailable`."""
        check_bounds(identity, workspace_id)
        if identity.operator or identity.session_id is not None:
            return
        key = (identity.principal, workspace_id)
        if time.monotonic() - self._granted.get(key, -FRESH_SECONDS) < FRESH_SECONDS:
            return
        if not await self._has_role(*key):
            await self._caught_up()
            if not await self._has_role(*key):
                raise Refused(Code.DENIED, "there is no such workspace, or you have no role in it")
        self._remember(key)

    async def _has_role(self, principal: str, workspace_id: str) -> bool:
        rows = await self._read_models.fetch(_ROLES, principal, workspace_id)
        return bool(rows and rows[0]["roles"])

    def _remember(self, key: tuple[str, str]) -> None:
        self._granted.pop(key, None)
        if len(self._granted) >= REMEMBERED_MAX:
            del self._granted[next(iter(self._granted))]
        self._granted[key] = time.monotonic()
