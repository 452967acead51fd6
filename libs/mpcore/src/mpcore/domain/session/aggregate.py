"""One agent's run, and a node in a lineage tree that never outgrows the limits set above it.

A session ends with everything below it: whoever lives has a live parent. So what is live below a session is found from
it downwards, and ends with it.
"""

from mpschema.session import SessionCanceled, SessionCompleted, SessionFailed, SessionState

from mpcore.domain.session.evolve import EVOLVE
from mpcore.domain.session.index import SessionIndex, reindex
from mpcore.domain.session.reactions import REACTIONS
from mpcore.domain.session.rules import RULES
from mpcore.domain.session.state import LIVE, Session
from mpcore.state.descriptor import Aggregate

AGGREGATE = Aggregate(
    name="session",
    about=__doc__,
    state=Session,
    rules=RULES,
    evolve=EVOLVE,
    index=SessionIndex,
    reindex=reindex,
    reactions=REACTIONS,
    finished=frozenset(SessionState) - LIVE,
    finishing=(SessionCompleted, SessionFailed, SessionCanceled),
)
