"""A piece of work: offered, claimed by lease, handed in with evidence, accepted, done.

A claim is live while the task has a holder. Its lease runs while work is due from the holder (claimed, in progress) and
lives until its expiry is recorded: no decision compares a time with the clock.
"""

from collections.abc import Sequence

from mpschema.envelope import EventRecord
from mpschema.task import ExpireTaskLease, ReturnTask, TaskCanceled, TaskCompleted, TaskRejected, TaskState

from mpcore.domain.task.claims import holder_ended
from mpcore.domain.task.evolve import EVOLVE
from mpcore.domain.task.index import TASK_LEASE, TaskIndex, reindex, tasks
from mpcore.domain.task.rules import RULES
from mpcore.domain.task.state import Task
from mpcore.state.descriptor import Aggregate
from mpcore.state.reactions import FollowUp
from mpcore.state.rules import Draft


def _expired(task: Task, _: int) -> ExpireTaskLease:
    return ExpireTaskLease(task.fence)


def _rejected(record: EventRecord, draft: Draft) -> Sequence[FollowUp]:
    """End the claim of a session that has ended: nobody would take the work up again."""
    task = tasks(draft.tenant).by_id[record.aggregate_id]
    return (FollowUp(ReturnTask(task.fence), task.id),) if holder_ended(draft.tenant, task) else ()


AGGREGATE = Aggregate(
    name="task",
    about=__doc__,
    state=Task,
    rules=RULES,
    evolve=EVOLVE,
    index=TaskIndex,
    reindex=reindex,
    timers={TASK_LEASE: _expired},
    reactions={TaskRejected: _rejected},
    finished=frozenset({TaskState.DONE, TaskState.CANCELED}),
    finishing=(TaskCompleted, TaskCanceled),
)
