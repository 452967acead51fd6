"""Reading of everything ever written: the corpus holds real bytes of every type and version."""

from pathlib import Path

import msgspec
import pytest
from mpschema import codec, golden
from mpschema.envelope import CommandEnvelope, EventRecord
from mpschema.registry import COMMANDS, EVENTS
from mpschema.rejections import Code, Rejection
from mpschema.upcasts import UPCASTS

CORPUS = Path(__file__).parent / "golden"
COMMAND_FILES = sorted(CORPUS.glob("commands/*.json"))
EVENT_FILES = sorted(CORPUS.glob("events/*.json"))


def test_every_type_and_version_has_its_bytes() -> None:
    there = {path.relative_to(CORPUS).as_posix() for path in [*COMMAND_FILES, *EVENT_FILES]}
    assert set(golden.paths()) <= there, "python -m mpschema adds them"


@pytest.mark.parametrize("path", COMMAND_FILES, ids=lambda path: path.stem)
def test_a_command_decodes_to_typed_arguments_and_encodes_to_the_same_bytes(path: Path) -> None:
    envelope = codec.decode_envelope(path.read_bytes())
    assert isinstance(envelope, CommandEnvelope)
    assert f"{envelope.type}.v{envelope.schema_version}" == path.stem
    assert codec.encode(envelope) == path.read_bytes()
    arguments = codec.decode_arguments(envelope)
    spec = COMMANDS[envelope.type]
    if envelope.schema_version != spec.version:
        assert isinstance(arguments, Rejection)
        assert arguments.code is Code.UNKNOWN_VERSION
        return
    assert type(arguments) is spec.arguments
    assert codec.encode(arguments) == bytes(envelope.payload)


@pytest.mark.parametrize("path", EVENT_FILES, ids=lambda path: path.stem)
def test_an_event_decodes_to_its_typed_record_and_encodes_to_the_same_bytes(path: Path) -> None:
    stored = path.read_bytes()
    spec = EVENTS[path.stem]
    record: EventRecord = msgspec.json.decode(stored, type=spec.record)
    assert type(record.event) is spec.data
    assert codec.encode(record) == stored
    newest = codec.decode_record(stored)
    assert newest.event_type not in UPCASTS
    assert (newest.seq, newest.id, newest.aggregate_id) == (record.seq, record.id, record.aggregate_id)
