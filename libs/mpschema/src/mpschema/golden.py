"""Real bytes of every type and version, kept for ever: what was once written must always be readable.

A new type's bytes come from its example. A file that is there is never written again.
"""

from pathlib import Path

import msgspec

from mpschema import codec, examples, story
from mpschema.registry import COMMANDS, EVENTS
from mpschema.vocabulary import CommandSpec, EventSpec

_CAUSED = {"on_behalf_of": "user:ada", "causation_id": f"{story.COMMAND_ID}:1"}


def command_bytes(spec: CommandSpec) -> bytes:
    """A command of this type as it travels."""
    envelope = spec.envelope(
        codec.encode(examples.command_example(spec.arguments)),
        command_id=story.COMMAND_ID,
        workspace_id=story.WORKSPACE,
        principal=story.ACTOR,
        target="" if spec.creates else f"{spec.aggregate}-1",
        expected_version=0 if spec.creates else 3,
        idempotency_key="ci-4711",
        session_id=story.SESSION,
        correlation_id="review-42",
        traceparent=story.TRACEPARENT,
    )
    return codec.encode(msgspec.structs.replace(envelope, **_CAUSED))


def event_bytes(spec: EventSpec) -> bytes:
    """An event of this type as it is stored."""
    record = spec.record(
        data=examples.event_example(spec.data),
        seq=1042,
        id=f"{story.COMMAND_ID}:0",
        workspace_id=story.WORKSPACE,
        aggregate_id=f"{spec.aggregate}-1",
        version=4,
        time_ms=story.TIME_MS,
        epoch=3,
        actor=story.ACTOR,
        **_CAUSED,
        session_id=story.SESSION,
        correlation_id="review-42",
        traceparent=story.TRACEPARENT,
        idempotency_key="ci-4711",
        digest="9f86d081884c7d659a2feaa0c55ad015",
    )
    return codec.encode(record)


def paths() -> list[str]:
    """The place of the bytes of every type and version, below the corpus."""
    commands = [f"commands/{spec.command_type}.v{spec.version}.json" for spec in COMMANDS.values()]
    return commands + [f"events/{event_type}.json" for event_type in EVENTS]


def missing(corpus: Path) -> dict[str, bytes]:
    """The bytes of each type and version that has no file yet."""
    contents = [command_bytes(spec) for spec in COMMANDS.values()] + [event_bytes(spec) for spec in EVENTS.values()]
    return {path: data for path, data in zip(paths(), contents, strict=True) if not (corpus / path).exists()}
