"""The log itself, as something that is commanded: an operator raises its feature level."""

from mpschema import levels
from mpschema.envelope import CommandEnvelope
from mpschema.rejections import Code, Rejection
from mpschema.system import LOG, SYSTEM_WORKSPACE, FeatureLevelRaised, RaiseFeatureLevel
from mpschema.vocabulary import CommandSpec

from mpcore.state.facts import Decision, Fact
from mpcore.state.rules import denied
from mpcore.state.world import World


def raise_feature_level(world: World, envelope: CommandEnvelope, target: str, arguments: RaiseFeatureLevel) -> Decision:
    """For operators alone, upwards alone, and no further than this build can follow."""
    if envelope.principal not in world.operators:
        return denied(envelope)
    if (envelope.workspace_id, target) != (SYSTEM_WORKSPACE, LOG):
        return Rejection(Code.SCHEMA_INVALID, f"the log is {LOG} in the workspace {SYSTEM_WORKSPACE}")
    if arguments.level <= world.feature_level:
        return Rejection(Code.INVALID_STATE, f"the log is at feature level {world.feature_level} already")
    if arguments.level > levels.FEATURE_LEVEL:
        detail = f"the kernel that leads reads up to feature level {levels.FEATURE_LEVEL}, not {arguments.level}"
        return Rejection(Code.INVALID_STATE, detail)
    return (Fact(LOG, LOG, FeatureLevelRaised(level=arguments.level)),)


def too_new(world: World, spec: CommandSpec) -> Rejection:
    """Why a command has to wait: builds that still run could not read what it becomes.

    The code is one that they can read: the refusal is recorded, and they meet it in the log.
    """
    detail = f"{spec.command_type} needs feature level {spec.since_level}, and the log is at {world.feature_level}"
    return Rejection(Code.INVALID_STATE, f"{detail}: an operator raises it by `mpctl upgrade finalize`")
