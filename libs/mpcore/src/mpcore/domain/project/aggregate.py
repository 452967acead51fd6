"""A body of work: open to new work, or archived.

In an archived project nothing begins: no task, session or board is made in it, none of its tasks is offered, claimed or
reopened, and its boards keep their shape. What was begun may be finished: started, handed in, judged, completed,
released or canceled.
"""

from mpcore.domain.project.evolve import EVOLVE
from mpcore.domain.project.index import ProjectIndex, reindex
from mpcore.domain.project.rules import RULES
from mpcore.domain.project.state import Project
from mpcore.state.descriptor import Aggregate

AGGREGATE = Aggregate(
    name="project",
    about=__doc__,
    state=Project,
    rules=RULES,
    evolve=EVOLVE,
    index=ProjectIndex,
    reindex=reindex,
)
