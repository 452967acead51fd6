"""Somebody who may act in a workspace, with roles and keys."""

from mpcore.domain.principal.evolve import EVOLVE
from mpcore.domain.principal.index import PrincipalIndex, reindex
from mpcore.domain.principal.rules import RULES
from mpcore.domain.principal.state import Principal
from mpcore.state.descriptor import Aggregate

AGGREGATE = Aggregate(
    name="principal",
    about=__doc__,
    state=Principal,
    rules=RULES,
    evolve=EVOLVE,
    index=PrincipalIndex,
    reindex=reindex,
)
