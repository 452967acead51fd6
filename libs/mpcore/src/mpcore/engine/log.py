"""The commands about the log itself: its operators raise its feature level, and set its limits."""

from collections.abc import Callable, Mapping

from mpschema import levels
from mpschema.base import Command
from mpschema.registry import LOG_COMMANDS
from mpschema.rejections import Code, Rejection
from mpschema.system import LOG, SYSTEM_WORKSPACE, FeatureLevelRaised, LimitsSet, RaiseFeatureLevel, SetLimits

from mpcore.state.facts import Decision, Fact, LogLimits
from mpcore.state.rules import DecisionContext, denied, older


def _raise_feature_level(context: DecisionContext) -> Decision:
    """Raise the level: for operators alone, upwards alone, and no further than this build can follow."""
    world, arguments = context.draft.world, context.arguments
    assert isinstance(arguments, RaiseFeatureLevel)
    if refused := _not_for_all(context):
        return refused
    if arguments.level <= world.feature_level:
        return Rejection(Code.INVALID_STATE, f"the log is at feature level {world.feature_level} already")
    if arguments.level > levels.FEATURE_LEVEL:
        detail = f"the kernel that leads reads up to feature level {levels.FEATURE_LEVEL}, not {arguments.level}"
        return Rejection(Code.INVALID_STATE, detail)
    return (Fact(LOG, LOG, FeatureLevelRaised(level=arguments.level)),)


def _set_limits(context: DecisionContext) -> Decision:
    """Set limits of the whole log: for operators alone. What the command leaves out stays."""
    world, arguments = context.draft.world, context.arguments
    if refused := _not_for_all(context):
        return refused
    spec = LOG_COMMANDS[context.envelope.type]
    if spec.since_level > world.feature_level:
        return older(world, spec.command_type, spec.since_level)
    given = {name: value for name in LogLimits._fields if (value := getattr(arguments, name)) is not None}
    limits = world.limits._replace(**given)
    if limits == world.limits:
        return Rejection(Code.INVALID_STATE, "these limits are set already")
    return (Fact(LOG, LOG, LimitsSet(*limits)),)


def _not_for_all(context: DecisionContext) -> Rejection | None:
    """Refuse a caller that may not command the log, and any other log."""
    envelope = context.envelope
    if envelope.principal not in context.draft.world.operators:
        return denied(envelope)
    if (envelope.workspace_id, context.target) != (SYSTEM_WORKSPACE, LOG):
        return Rejection(Code.SCHEMA_INVALID, f"the log is {LOG} in the workspace {SYSTEM_WORKSPACE}")
    return None


RULES: Mapping[type[Command], Callable[[DecisionContext], Decision]] = {
    RaiseFeatureLevel: _raise_feature_level,
    SetLimits: _set_limits,
}
"""Command about the log to how it is decided."""
