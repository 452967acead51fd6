"""Bytes to messages and back, strictly: what does not fit is a typed error, never a guess."""

import hashlib
import json
from collections.abc import Callable, Iterable
from typing import Union

import msgspec

from mpschema import levels
from mpschema.base import Command
from mpschema.envelope import CommandEnvelope, CommitHeader, EventRecord, Outcome
from mpschema.registry import COMMANDS, EVENTS, LOG_COMMANDS
from mpschema.rejections import Code, Rejection
from mpschema.upcasts import UPCASTS, upcast

PAYLOAD_BYTES_MAX = 64 * 1024
"""The inline limit of a command's arguments. Larger things are referred to by digest."""
GENESIS_HASH = "0" * 64
_SHA256 = hashlib.sha256()
"""The hash of nothing: a copy of it is made faster than a new one."""
_HASH_TAG = b"moduprompt/commit/v1\n"
_BACKSLASH = b"\\"[0]
"""The backslash as a number: a search for it is faster than for bytes, and most requests have none."""
_UNREADABLE = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)


class _Typed(msgspec.Struct):
    type: str


_encoder = msgspec.json.Encoder()
_envelope = msgspec.json.Decoder(CommandEnvelope)
_outcomes = msgspec.json.Decoder(list[Outcome])
_header = msgspec.json.Decoder(CommitHeader)
_records: msgspec.json.Decoder[EventRecord] = msgspec.json.Decoder(
    Union[tuple(spec.record for spec in EVENTS.values())]  # noqa: UP007 - a union made of a list has no other spelling
)
_type = msgspec.json.Decoder(_Typed)


class MalformedCommit(Exception):
    """A commit in the log that cannot be read: never skipped, always a halt."""


class UnknownEvent(MalformedCommit):
    """An event type or version this build does not know."""

    def __init__(self, event_type: str) -> None:
        super().__init__(f"event type {event_type!r} is not known to this build")
        self.event_type = event_type


class LevelTooHigh(MalformedCommit):
    """The log is at a feature level that this build does not know: another release must read it."""

    def __init__(self, level: int) -> None:
        known = f"this build reads up to level {levels.FEATURE_LEVEL}"
        super().__init__(f"the log is at feature level {level}, {known}: run the newer release")
        self.level = level


encode: Callable[[object], bytes] = _encoder.encode
"""Canonical JSON bytes of any message: fields in declaration order, defaults left out."""


def encode_lines(messages: Iterable[object]) -> bytes:
    """NDJSON: one message a line, each line ended."""
    return _encoder.encode_lines(list(messages))


def decode_envelope(line: bytes | memoryview) -> CommandEnvelope | Rejection:
    """One command line to its envelope, or why it is none."""
    try:
        envelope = _envelope.decode(line)
    except _UNREADABLE as error:
        return Rejection(Code.SCHEMA_INVALID, f"the envelope is malformed: {_told(error)}")
    if misfit := envelope.misfit:
        return Rejection(Code.SCHEMA_INVALID, f"the envelope is malformed: {misfit}")
    return envelope


def admit(decoder: msgspec.json.Decoder[Command], raw: bytes) -> tuple[Command, bytes] | Rejection:
    """The arguments in a request's body and their canonical bytes, or the refusal. The one strict look at a body.

    Equal arguments are equal bytes, and those bytes go all the way to the kernel.
    """
    if len(raw) > PAYLOAD_BYTES_MAX:
        return _too_large(raw)
    try:
        arguments = decoder.decode(raw)
    except _UNREADABLE as error:
        return Rejection(Code.SCHEMA_INVALID, _told(error))
    encoded = _encoder.encode(arguments)
    if (raw != encoded or _BACKSLASH in raw) and (refused := _ambiguous(raw, encoded)):
        return refused
    return arguments, encoded


def decode_arguments(envelope: CommandEnvelope) -> Command | Rejection:
    """The typed arguments of a command, or the refusal: unknown type or version, too large, not of the schema.

    A producer encodes them from their type, so nothing here asks whether they could be read in two ways. What cannot
    be stored in a text is looked for again, where bytes could spell it.
    """
    spec = COMMANDS.get(envelope.type) or LOG_COMMANDS.get(envelope.type)
    if spec is None:
        return Rejection(Code.UNKNOWN_TYPE, f"command type {envelope.type!r} is not known")
    if envelope.schema_version != spec.version:
        detail = f"{envelope.type} has version {spec.version}, not {envelope.schema_version}"
        return Rejection(Code.UNKNOWN_VERSION, detail)
    raw = bytes(envelope.payload)
    if _BACKSLASH in raw or len(raw) > PAYLOAD_BYTES_MAX:
        admitted = admit(spec.decoder, raw)
        return admitted if isinstance(admitted, Rejection) else admitted[0]
    try:
        return spec.decoder.decode(raw)
    except _UNREADABLE as error:
        return Rejection(Code.SCHEMA_INVALID, _told(error))


def request_digest(envelope: CommandEnvelope) -> str:
    """The digest that two equal requests under one idempotency key share: 32 hex digits of SHA-256."""
    e = envelope
    asked = f"{e.type}\n{e.target}\n{e.expected_version}\n{e.principal}\n{e.session_id}\n".encode()
    digest = _SHA256.copy()
    digest.update(b"".join((asked, e.payload)))
    return digest.hexdigest()[:32]


def encode_outcomes(outcomes: list[Outcome]) -> bytes:
    """A reply: the outcomes of many commands of one producer."""
    return _encoder.encode(outcomes)


def decode_outcomes(data: bytes) -> list[Outcome]:
    """The outcomes in a reply."""
    return _outcomes.decode(data)


def commit_hash(previous: str, subject: str, data: bytes) -> str:
    """SHA-256(tag, previous hash, subject, stored bytes), lower-case hex: the chain's next link."""
    digest = hashlib.sha256(_HASH_TAG)
    digest.update(f"{previous}\n{subject}\n".encode())
    digest.update(data)
    return digest.hexdigest()


def encode_commit(header: CommitHeader, records: list[EventRecord]) -> bytes:
    """A commit: its header line, then an event a line."""
    return _encoder.encode_lines([header, *records])


def split_commit(data: bytes) -> tuple[CommitHeader, bytes]:
    """The header of a commit, and the bytes of its event lines. Raises `MalformedCommit`, `LevelTooHigh` for one."""
    line, newline, body = data.partition(b"\n")
    if not newline:
        raise MalformedCommit("a commit has no header line")
    try:
        header = _header.decode(line)
    except _UNREADABLE as error:
        raise MalformedCommit(f"commit header: {error}") from error
    if header.feature_level > levels.FEATURE_LEVEL:
        raise LevelTooHigh(header.feature_level)
    return header, body


def decode_records(body: bytes) -> list[EventRecord]:
    """The events of a commit's body, brought to their newest versions.

    Raises `UnknownEvent` for a type or version this build does not know, `MalformedCommit` for anything else.
    """
    try:
        return [upcast(record) for record in _records.decode_lines(body)] if UPCASTS else _records.decode_lines(body)
    except _UNREADABLE as error:
        raise _named(body, error) from error


def decode_record(line: bytes) -> EventRecord:
    """One event line. Raises as `decode_records` does."""
    records = decode_records(line)
    if len(records) != 1:
        raise MalformedCommit(f"an event line holds {len(records)} events")
    return records[0]


def _too_large(raw: bytes) -> Rejection:
    return Rejection(Code.TOO_LARGE, f"the arguments have {len(raw)} bytes, the limit is {PAYLOAD_BYTES_MAX}")


def _ambiguous(raw: bytes, encoded: bytes) -> Rejection | None:
    """The fault of arguments that could be decoded: readers of JSON disagree on their meaning."""
    if raw != encoded and _repeats_a_key(raw, encoded):
        return Rejection(Code.SCHEMA_INVALID, "an object has the same key twice")
    if b"\\u0000" in raw and b"\\u0000" in encoded.replace(b"\\\\", b""):
        return Rejection(Code.SCHEMA_INVALID, "text must not contain NUL characters")
    return None


def _repeats_a_key(raw: bytes, encoded: bytes) -> bool:
    """True where an object in `raw` has a key twice. JSON readers disagree on that, so it means nothing."""
    # The canonical form has each key once and adds nothing, so with as many quotes as `raw` nothing can hide in it
    # (a quote may be spelled as an escape, though). Most requests are told apart by that, 20 times faster.
    if b"\\u" not in raw and raw.count(b'"') == encoded.count(b'"'):
        return False
    repeated = False

    def note(pairs: list[tuple[str, object]]) -> None:
        nonlocal repeated
        repeated = repeated or len({key for key, _ in pairs}) < len(pairs)

    json.loads(raw, object_pairs_hook=note)
    return repeated


def _told(error: Exception) -> str:
    """The text of an error, fit to be recorded: it may quote the request, which may hold NUL."""
    return str(error).replace("\x00", "\\u0000")[:1_000]


def _named(body: bytes, error: Exception) -> MalformedCommit:
    for line in body.splitlines():
        try:
            event_type = _type.decode(line).type
        except _UNREADABLE:
            continue
        if event_type not in EVENTS:
            return UnknownEvent(event_type)
    return MalformedCommit(f"an event does not fit its schema: {error}")
