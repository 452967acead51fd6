"""The tenant: active, frozen while nothing may change, archived for good.

It is not archived while a session in it lives: nobody could end one any more. Authority can be taken away from a closed
workspace, and its webhooks removed; what happened before is still told.
"""

from mpcore.domain.workspace.evolve import EVOLVE
from mpcore.domain.workspace.index import reindex
from mpcore.domain.workspace.rules import RULES
from mpcore.domain.workspace.state import Workspace
from mpcore.state.descriptor import Aggregate

AGGREGATE = Aggregate(
    name="workspace",
    about=__doc__,
    state=Workspace,
    rules=RULES,
    evolve=EVOLVE,
    reindex=reindex,
)
