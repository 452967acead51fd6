"""The ends that follow from that of a session, a project or a workspace, where one commit does not take them.

The event on the scope is the effect: whoever asks whether a session lives asks those above it, too. A sweep then ends
each session and each claim by an event of its own, some hundred in a commit, so that nobody else has to wait.
"""

from collections.abc import Sequence

from mpschema.envelope import EventRecord
from mpschema.sweep import AdvanceSweep, SweepAdvanced

from mpcore.domain.sweep.evolve import EVOLVE
from mpcore.domain.sweep.index import SweepIndex, reindex, sweeps
from mpcore.domain.sweep.rules import RULES
from mpcore.domain.sweep.state import Sweep
from mpcore.domain.sweep.steps import step
from mpcore.state.deadlines import SWEEP
from mpcore.state.descriptor import Aggregate
from mpcore.state.reactions import FollowUp
from mpcore.state.rules import Draft


def _next(_: Sweep, __: int) -> AdvanceSweep:
    return AdvanceSweep()


def _step(record: EventRecord, draft: Draft) -> Sequence[FollowUp]:
    sweep = sweeps(draft.tenant).by_id[record.aggregate_id]
    return step(draft.tenant, sweep.kind, sweep.scope, draft.world.limits.sweep_facts)


AGGREGATE = Aggregate(
    name="sweep",
    about=__doc__,
    state=Sweep,
    rules=RULES,
    evolve=EVOLVE,
    index=SweepIndex,
    reindex=reindex,
    timers={SWEEP: _next},
    reactions={SweepAdvanced: _step},
)
