"""Commands to facts, or to the reason why not. Pure: only the context is read, and only its draft is changed."""

from typing import Any

from mpschema.base import Command
from mpschema.envelope import CommandEnvelope
from mpschema.ids import derived_id, is_id
from mpschema.registry import COMMANDS, KERNEL_COMMANDS, LOG_COMMANDS
from mpschema.rejections import Code, Rejection
from mpschema.system import LOG
from mpschema.vocabulary import CommandSpec

from mpcore.access.verdict import Authorizer, Verdict
from mpcore.domain.aggregates import BY_NAME
from mpcore.domain.naming import as_seen
from mpcore.engine.log import RULES as LOG_RULES
from mpcore.state.facts import Decision
from mpcore.state.rules import DecisionContext, Rule, denied, older
from mpcore.state.states import look
from mpcore.state.world import World

_RULES: dict[type[Command], tuple[CommandSpec, str, Rule]] = {
    spec.arguments: (spec, spec.aggregate, BY_NAME[spec.aggregate].rules[spec.arguments])
    for spec in (*COMMANDS.values(), *KERNEL_COMMANDS.values())
}
_ARCHIVED = "archived"


Ruling = tuple[Decision, Verdict | None]
"""The facts that are left to record, or why not; and the verdict before that: None where policy was not asked."""


def decide(context: DecisionContext, authorizer: Authorizer) -> Ruling:
    """Decide a command. Facts that its rule recorded in the draft already are not among those of the ruling.

    The context's target is the aggregate's id, derived already where the envelope leaves it out.
    """
    arguments, draft = context.arguments, context.draft
    found = _RULES.get(type(arguments))
    if found is None:
        return LOG_RULES[type(arguments)](context), None
    spec, aggregate, rule = found
    world, tenant, target = draft.world, draft.tenant, context.target
    if context.envelope.workspace_id not in world.tenants and not (aggregate == "workspace" and spec.creates):
        return _no_workspace(world, context.envelope), None
    states = tenant.indexes[aggregate].by_id
    state = look(states, target)
    if state is None and states.packs:
        state = states.get(target)
    if state is None and (misnamed := _misnamed(aggregate, context.envelope, target)):
        return misnamed, None
    verdict = authorizer.authorize(context)
    refused = verdict.refusal
    if refused is None and spec.since_level > world.feature_level:
        refused = older(world, spec.command_type, spec.since_level)
    if refused is None and tenant.closed is not None and not _ungated(world, rule):
        refused = tenant.closed
    if refused is None:
        refused = _unmet(state, spec, rule, context)
    if refused is not None:
        return refused, verdict
    if rule.names is None or not as_seen(world):
        return rule.decide(state, arguments, context), verdict
    given = rule.names(arguments)
    return given if isinstance(given, Rejection) else rule.decide(state, given, context), verdict


def _ungated(world: World, rule: Rule) -> bool:
    """Tell whether this is answered in a closed workspace, too."""
    return rule.by_kernel or (rule.ungated_since is not None and world.feature_level >= rule.ungated_since)


def _unmet(state: Any, spec: CommandSpec, rule: Rule, context: DecisionContext) -> Rejection | None:
    """Refuse where the target is not as the command expects it: version, existence, fence, state."""
    expected, target = context.envelope.expected_version, context.target
    if expected != "any" and expected != (version := 0 if state is None else state.version):
        return Rejection(Code.STALE_VERSION, f"{spec.aggregate} {target} has version {version}, not {expected}")
    if state is None:
        if spec.creates or rule.absent_too:
            return None
        return Rejection(Code.NOT_FOUND, f"{spec.aggregate} {target} does not exist")
    if spec.creates:
        return Rejection(Code.ALREADY_EXISTS, f"{spec.aggregate} {target} exists already")
    if rule.guard is not None and (refused := rule.guard(state, context)):
        return refused
    if rule.sources and state.state not in rule.sources:
        code = Code.ARCHIVED if state.state == _ARCHIVED else Code.INVALID_STATE
        return Rejection(code, f"{spec.aggregate} {target} is {state.state}")
    return None


def _no_workspace(world: World, envelope: CommandEnvelope) -> Rejection:
    if envelope.principal in world.operators:
        return Rejection(Code.NOT_FOUND, f"workspace {envelope.workspace_id} does not exist")
    return denied(envelope)


def _misnamed(aggregate: str, envelope: CommandEnvelope, target: str) -> Rejection | None:
    if not is_id(target):
        return Rejection(Code.SCHEMA_INVALID, "the target is not an id: 1 to 128 of letters, digits, _ : @ -")
    if aggregate == "workspace" and target != envelope.workspace_id:
        return Rejection(Code.SCHEMA_INVALID, "the target of a workspace's command is the workspace itself")
    return None


def target_of(envelope: CommandEnvelope) -> str:
    """Return the target of a command that names none: its workspace, the log, or what it creates."""
    if envelope.type.startswith("workspace."):
        return envelope.workspace_id
    if envelope.type in LOG_COMMANDS:
        return LOG
    return derived_id(envelope.type.partition(".")[0], envelope.command_id) if COMMANDS[envelope.type].creates else ""
