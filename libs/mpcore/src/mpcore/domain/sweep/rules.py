"""The rules of a sweep's commands: the kernel gives them all."""

from mpschema.sweep import AdvanceSweep, BeginSweep, SweepAdvanced, SweepBegun, SweepEnded

from mpcore.domain.sweep.state import Sweep
from mpcore.domain.sweep.steps import step
from mpcore.state.facts import Decision, Fact
from mpcore.state.rules import NOBODY, DecisionContext, Rule, Rules

LATE_MS = 10 * 60 * 1_000
"""Within this time a sweep of 100,000 things ends, with much to spare."""


def _begin(_: None, arguments: BeginSweep, context: DecisionContext) -> Decision:
    due_ms = context.inputs.now_ms + LATE_MS
    return (Fact("sweep", context.target, SweepBegun(arguments.kind, arguments.scope, due_ms)),)


def _advance(sweep: Sweep, _: AdvanceSweep, context: DecisionContext) -> Decision:
    draft = context.draft
    left = len(step(draft.tenant, sweep.kind, sweep.scope, draft.world.limits.sweep_facts))
    event = SweepAdvanced(sweep.done + left) if left else SweepEnded(sweep.done)
    return (Fact("sweep", sweep.id, event),)


RULES: Rules = {
    BeginSweep: Rule(decide=_begin, roles=NOBODY, by_kernel=True),
    AdvanceSweep: Rule(decide=_advance, roles=NOBODY, by_kernel=True),
}
