"""Bytes from outside become typed messages or typed refusals: never another exception, never a guess."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mpschema import codec, examples, golden
from mpschema.base import Command
from mpschema.envelope import CommandEnvelope, EventRecord
from mpschema.ids import is_id
from mpschema.registry import COMMANDS, EVENTS
from mpschema.rejections import Code, Rejection
from mpschema.vocabulary import CommandSpec

CLAIM = COMMANDS["task.claim"]
CREATE = COMMANDS["task.create"]
EVENT = golden.event_bytes(EVENTS["mp.task.TaskClaimed.v1"])
GOOD = json.loads(codec.encode(examples.command_example(CREATE.arguments)))


def admitted(spec: CommandSpec, raw: bytes) -> Command | Rejection:
    read = codec.admit(spec.decoder, raw)
    return read if isinstance(read, Rejection) else read[0]


def create(raw: bytes) -> Command | Rejection:
    return admitted(CREATE, raw)


def refused(raw: bytes) -> Code:
    answer = create(raw)
    assert isinstance(answer, Rejection)
    return answer.code


def with_field(**fields: Any) -> bytes:
    return json.dumps(GOOD | fields).encode()


DEEP = b'{"title":' + b"[" * 20_000 + b"]" * 20_000 + b"}"
HOSTILE = {
    "nothing": b"",
    "no object": b"[]",
    "null": b"null",
    "cut off": with_field()[:-1],
    "followed by more": with_field() + b"x",
    "byte order mark": b"\xef\xbb\xbf" + with_field(),
    "unknown field": with_field(surplus=1),
    "wrong type": with_field(title=7),
    "number as text": with_field(priority="1"),
    "true as number": with_field(priority=True),
    "fraction": with_field(priority=1.0),
    "out of range": with_field(priority=5),
    "huge integer": with_field().replace(b'"priority": 1', b'"priority": ' + b"9" * 5_000),
    "integer beyond 64 bits": with_field(priority=2**64),
    "NaN": with_field(priority=float("nan")),
    "infinity": with_field(priority=float("inf")),
    "missing field": b'{"title":"x"}',
    "null for text": with_field(title=None),
    "text too long": with_field(title="x" * 201),
    "empty text": with_field(title=""),
    "too many labels": with_field(labels=["x"] * 33),
    "bad id": with_field(project_id="../etc"),
    "id with line end": with_field(project_id="core\n"),
    "escaped NUL": with_field(title="a\x00b"),
    "raw NUL": with_field(title="a#b").replace(b"#", b"\x00"),
    "NUL in a key": with_field(**{"a\x00": 1}),
    "lone surrogate": with_field(title="a#b").replace(b"#", b"\\ud800"),
    "encoded surrogate": with_field(title="a#b").replace(b"#", b"\xed\xa0\x80"),
    "invalid UTF-8": with_field(title="a#b").replace(b"#", b"\xff"),
    "repeated key": with_field()[:-1] + b', "title": "y"}',
    "repeated key, spelled otherwise": with_field()[:-1] + b', "t\\u0069tle": "y"}',
    "deep nesting": DEEP,
}


@pytest.mark.parametrize("raw", HOSTILE.values(), ids=list(HOSTILE))
def test_what_does_not_fit_is_refused(raw: bytes) -> None:
    assert refused(raw) is Code.SCHEMA_INVALID


@pytest.mark.parametrize("raw", HOSTILE.values(), ids=list(HOSTILE))
def test_a_refusal_can_be_recorded(raw: bytes) -> None:
    answer = create(raw)
    assert isinstance(answer, Rejection)
    assert "\x00" not in answer.detail
    assert len(answer.detail) <= 1_000
    assert msgspec.json.decode(codec.encode(answer), type=Rejection) == answer


def test_what_fits_is_taken_whatever_its_spelling() -> None:
    expected = examples.command_example(CREATE.arguments)
    for raw in (
        with_field(),
        json.dumps(GOOD, indent=4).encode(),
        with_field(labels=["b\u00fcg"]),
        with_field(board_id=None),
    ):
        assert type(create(raw)) is CREATE.arguments
    assert create(with_field()) == expected


def test_arguments_are_at_most_64_kib() -> None:
    body = with_field(description="x" * 20_000)
    exactly = body + b" " * (codec.PAYLOAD_BYTES_MAX - len(body))
    assert type(create(exactly)) is CREATE.arguments
    assert refused(exactly + b" ") is Code.TOO_LARGE
    assert refused(b"[" * 100_000) is Code.TOO_LARGE


def test_an_unknown_type_and_an_unknown_version_are_told_apart() -> None:
    for changed, code in (({"type": "task.juggle"}, Code.UNKNOWN_TYPE), ({"schema_version": 2}, Code.UNKNOWN_VERSION)):
        envelope = codec.decode_envelope(json.dumps(json.loads(golden.command_bytes(CLAIM)) | changed).encode())
        assert isinstance(envelope, CommandEnvelope)
        answer = codec.decode_arguments(envelope)
        assert isinstance(answer, Rejection)
        assert answer.code is code


@pytest.mark.parametrize(
    "change",
    [
        {"surplus": 1},
        {"command_id": ""},
        {"command_id": "a b"},
        {"workspace_id": "w\n"},
        {"principal": None},
        {"type": "task.claim\x00"},
        {"target": "t\x00"},
        {"target": "t" * 129},
        {"expected_version": "none"},
        {"expected_version": -1},
        {"expected_version": 2**53},
        {"idempotency_key": "with space"},
        {"idempotency_key": "k" * 201},
        {"traceparent": "00-xyz"},
        {"schema_version": "1"},
    ],
    ids=str,
)
def test_a_malformed_envelope_is_refused(change: dict[str, Any]) -> None:
    line = json.dumps(json.loads(golden.command_bytes(CLAIM)) | change).encode()
    assert isinstance(codec.decode_envelope(line), Rejection)


@settings(max_examples=300)
@given(ids=st.lists(st.text("a-_:@ \n\x00é", max_size=3) | st.just("x" * 129), min_size=3, max_size=3))
def test_an_envelope_is_taken_when_each_of_its_ids_is_one(ids: list[str]) -> None:
    change = dict(zip(("command_id", "workspace_id", "principal"), ids, strict=True))
    answer = codec.decode_envelope(json.dumps(json.loads(golden.command_bytes(CLAIM)) | change).encode())
    assert isinstance(answer, CommandEnvelope) == all(map(is_id, ids))
    if isinstance(answer, Rejection):
        assert f"$.{next(name for name, given in change.items() if not is_id(given))}" in answer.detail


def test_a_hundred_thousand_levels_are_refused_and_crash_nothing() -> None:
    for opening in (b"[", b'{"a":', b'{"payload":'):
        nested = opening * 100_000
        assert isinstance(codec.decode_envelope(nested), Rejection)
        assert isinstance(codec.decode_envelope(golden.command_bytes(CLAIM)[:-1] + b',"x":' + nested), Rejection)
        for read in (codec.decode_records, codec.decode_record):
            with pytest.raises(codec.MalformedCommit):
                read(EVENT[:-1] + b',"x":' + nested)
        with pytest.raises(codec.MalformedCommit):
            codec.split_commit(nested + b"\n")


@pytest.mark.parametrize("line", [b"", b"\n", EVENT + b"\n" + EVENT, b"{}", b"\xff", EVENT[:-1]])
def test_a_line_that_is_not_one_event_halts(line: bytes) -> None:
    with pytest.raises(codec.MalformedCommit):
        codec.decode_record(line)


def test_a_commit_without_its_header_line_halts() -> None:
    for data in (b"", EVENT, b"{}\n", b'{"epoch":"1"}\n', b"\xff\n"):
        with pytest.raises(codec.MalformedCommit):
            codec.split_commit(data)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
FIELDS = sorted({name for spec in COMMANDS.values() for name in spec.arguments.__struct_fields__})


@settings(max_examples=150)
@given(spec=st.sampled_from(list(COMMANDS.values())), raw=st.binary(max_size=300))
def test_any_bytes_are_arguments_or_a_refusal(spec: Any, raw: bytes) -> None:
    assert isinstance(admitted(spec, raw), (spec.arguments, Rejection))
    assert isinstance(codec.decode_envelope(raw), (CommandEnvelope, Rejection))


@settings(max_examples=200)
@given(spec=st.sampled_from(list(COMMANDS.values())), fields=st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=5))
def test_any_json_is_a_refusal_or_arguments_that_survive_the_journey(spec: Any, fields: dict[str, Any]) -> None:
    answer = admitted(spec, json.dumps(fields).encode())
    assert isinstance(answer, (spec.arguments, Rejection))
    if not isinstance(answer, Rejection):
        assert admitted(spec, codec.encode(answer)) == answer


@settings(max_examples=200)
@given(spec=st.sampled_from(list(COMMANDS.values())), fields=st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=5))
def test_the_bytes_of_the_door_are_those_that_the_kernel_reads(spec: CommandSpec, fields: dict[str, Any]) -> None:
    read = codec.admit(spec.decoder, json.dumps(fields, indent=1).encode())
    if isinstance(read, Rejection):
        return
    arguments, payload = read
    sent = spec.envelope(payload, command_id="c-1", workspace_id="acme", principal="user:ada", target="t-1")
    line = codec.encode(sent)
    assert line.count(payload) == 1
    arrived = codec.decode_envelope(line)
    assert arrived == sent
    assert isinstance(arrived, CommandEnvelope)
    assert codec.decode_arguments(arrived) == arguments


def test_the_kernel_takes_no_text_that_cannot_be_stored_and_nothing_too_large() -> None:
    wide = codec.encode(GOOD | {"description": "x" * 20_000}) + b" " * codec.PAYLOAD_BYTES_MAX
    for payload, code in (
        (codec.encode(GOOD | {"title": "a\0b"}), Code.SCHEMA_INVALID),
        (codec.encode(GOOD | {"surplus": 1}), Code.SCHEMA_INVALID),
        (wide, Code.TOO_LARGE),
    ):
        sent = CREATE.envelope(payload, command_id="c-1", workspace_id="acme", principal="user:ada")
        answer = codec.decode_arguments(sent)
        assert isinstance(answer, Rejection)
        assert answer.code is code


@settings(max_examples=150)
@given(data=st.data())
def test_a_damaged_commit_is_read_or_refused_but_never_surprises(data: st.DataObject) -> None:
    damaged = bytearray(EVENT)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        assert isinstance(codec.decode_record(bytes(damaged)), EventRecord)
    except codec.MalformedCommit as refusal:
        assert str(refusal)  # noqa: PT017 - either outcome is right
