"""Commands to facts, or to the reason why not. Pure: nothing is read but what is handed in, and nothing is changed."""

from typing import Any

from mpschema.base import Command
from mpschema.envelope import CommandEnvelope
from mpschema.ids import derived_id, is_id
from mpschema.registry import COMMANDS, LOG_COMMANDS
from mpschema.rejections import Code, Rejection
from mpschema.system import LOG, RaiseFeatureLevel
from mpschema.vocabulary import CommandSpec

from mpcore.access.policy import Authorizer
from mpcore.domain.aggregates import BY_NAME
from mpcore.domain.naming import as_seen
from mpcore.engine.log import raise_feature_level, too_new
from mpcore.state.facts import Decision
from mpcore.state.rules import AccessRequest, Rule, denied
from mpcore.state.world import World

_RULES: dict[type[Command], tuple[CommandSpec, str, Rule]] = {
    spec.arguments: (spec, spec.aggregate, BY_NAME[spec.aggregate].rules[spec.arguments]) for spec in COMMANDS.values()
}
_ARCHIVED = "archived"


def decide(
    world: World, envelope: CommandEnvelope, target: str, arguments: Command, now_ms: int, authorizer: Authorizer
) -> Decision:
    """The facts that this command becomes, or why it is refused.

    `target` is the aggregate's id, derived already where the envelope leaves it out; `now_ms` the kernel's time.
    """
    if type(arguments) is RaiseFeatureLevel:
        return raise_feature_level(world, envelope, target, arguments)
    spec, aggregate, rule = _RULES[type(arguments)]
    tenant = world.tenants.get(envelope.workspace_id)
    if tenant is None:
        if aggregate != "workspace" or not spec.creates:
            return _no_workspace(world, envelope)
        tenant = world.new_tenant(envelope.workspace_id)
    state = tenant.indexes[aggregate].by_id.get(target)
    if state is None and (misnamed := _misnamed(aggregate, envelope, target)):
        return misnamed
    request = AccessRequest(world, tenant, envelope, target, arguments, now_ms)
    refused = authorizer.authorize(request)
    if refused is None and spec.since_level > world.feature_level:
        refused = too_new(world, spec)
    if refused is None and tenant.closed is not None and not _ungated(world, rule):
        refused = tenant.closed
    if refused is None:
        refused = _unmet(state, spec, rule, request)
    if refused is not None:
        return refused
    if rule.names is None or not as_seen(world):
        return rule.decide(state, arguments, request)
    given = rule.names(arguments)
    return given if isinstance(given, Rejection) else rule.decide(state, given, request)


def _ungated(world: World, rule: Rule) -> bool:
    """Whether this is answered in a closed workspace, too."""
    return rule.ungated_since is not None and world.feature_level >= rule.ungated_since


def _unmet(state: Any, spec: CommandSpec, rule: Rule, request: AccessRequest) -> Rejection | None:
    """What the command expects of its target and does not find: a version, existence, a valid fence, a state."""
    expected, target = request.envelope.expected_version, request.target
    if expected != "any" and expected != (version := 0 if state is None else state.version):
        return Rejection(Code.STALE_VERSION, f"{spec.aggregate} {target} has version {version}, not {expected}")
    if state is None:
        if spec.creates or rule.absent_too:
            return None
        return Rejection(Code.NOT_FOUND, f"{spec.aggregate} {target} does not exist")
    if spec.creates:
        return Rejection(Code.ALREADY_EXISTS, f"{spec.aggregate} {target} exists already")
    if rule.guard is not None and (refused := rule.guard(state, request.arguments)):
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
    """What a command is about that names no target: its workspace, the log, or what it creates."""
    if envelope.type.startswith("workspace."):
        return envelope.workspace_id
    if envelope.type in LOG_COMMANDS:
        return LOG
    return derived_id(envelope.type.partition(".")[0], envelope.command_id) if COMMANDS[envelope.type].creates else ""
