"""A piece of work: offered, claimed by lease, handed in with evidence, accepted, done.

A claim is live while the task has a holder. Its lease runs while work is due from the holder (claimed, in progress) and
lives until its expiry is recorded: no decision compares a time with the clock.
"""

from mpschema.task import TaskCanceled, TaskCompleted, TaskLeaseExpired, TaskState

from mpcore.domain.task.evolve import EVOLVE
from mpcore.domain.task.index import TASK_LEASE, TaskIndex, reindex
from mpcore.domain.task.rules import RULES, UNASKED
from mpcore.domain.task.state import Task
from mpcore.state.descriptor import Aggregate


def _lease_expired(task: Task, _: int) -> TaskLeaseExpired:
    return TaskLeaseExpired(task.fence, task.holder)


AGGREGATE = Aggregate(
    name="task",
    about=__doc__,
    state=Task,
    rules=RULES,
    evolve=EVOLVE,
    index=TaskIndex,
    reindex=reindex,
    timers={TASK_LEASE: _lease_expired},
    unasked=UNASKED,
    finished=frozenset({TaskState.DONE, TaskState.CANCELED}),
    finishing=(TaskCompleted, TaskCanceled),
)
