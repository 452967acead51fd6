"""Many commands in one request, answered in the same order: NDJSON for NDJSON, a JSON array for a JSON array.

A refusal stops none of the others.
"""

import asyncio
from collections import Counter

import msgspec
from mpbus.ids import new_command_id
from mpschema.api import BATCH_LINES_MAX, BatchLine
from mpschema.envelope import Outcome
from mpschema.escapes import escaped
from mpschema.ids import DATED, is_id, uuid_version
from mpschema.problems import EdgeCode, Problem
from mpschema.registry import COMMANDS
from mpschema.rejections import Code
from msgspec.structs import replace

from mpgateway.commanding import Commanding, Wanted, admitted, check_path_id, is_json, traceparent
from mpgateway.http import HttpRequest, Response
from mpgateway.metrics import BATCH_LINES
from mpgateway.problems import RequestRefused, of_outcome, problem, refusal_of
from mpgateway.strict import check_keys, check_media_type

BODY_BYTES_MAX = 8 << 20
WINDOW = 256
"""The commands of one batch that are in flight at once. They enter the stream in the order of their lines."""
MEDIA_TYPES = frozenset({b"application/x-ndjson", b"application/jsonl", b"application/ndjson"})
_ARRAY = b"application/json"
_line = msgspec.json.Decoder(BatchLine)
_items = msgspec.json.Decoder(list[msgspec.Raw])
_encode = msgspec.json.Encoder().encode
_encode_lines = msgspec.json.Encoder().encode_lines

Answer = Outcome | Problem


class Batches:
    """Reads batches, sends their commands and gathers the outcomes."""

    def __init__(self, commanding: Commanding) -> None:
        self._commanding = commanding

    async def read(self, request: HttpRequest) -> list[bytes]:
        """The lines of a request's body. Raises `RequestRefused`."""
        check_path_id(request.params["workspace_id"])
        raw = await request.body(BODY_BYTES_MAX)
        told = "a batch is application/x-ndjson, or application/json"
        check_media_type(request, MEDIA_TYPES | {_ARRAY}, told)
        lines = _split(raw, _media_type(request))
        if len(lines) > BATCH_LINES_MAX:
            raise RequestRefused(Code.TOO_LARGE, f"a batch has at most {BATCH_LINES_MAX} lines")
        if not lines:
            raise RequestRefused(EdgeCode.MALFORMED, "a batch has at least one line")
        return lines

    async def run(self, request: HttpRequest, lines: list[bytes]) -> Response:
        """Send the commands of the lines and answer with their outcomes."""
        answers = await _Run(self._commanding, request, lines).answers()
        if _media_type(request) == _ARRAY:
            return Response(200, escaped(_encode(answers)))
        return Response(200, escaped(_encode_lines(answers)), ((b"content-type", b"application/x-ndjson"),))


class _Run:
    """One batch on its way: what all of its lines share is looked up once."""

    def __init__(self, commanding: Commanding, request: HttpRequest, lines: list[bytes]) -> None:
        self._commanding = commanding
        self._identity = request.identity
        self._workspace_id = request.params["workspace_id"]
        self._traceparent = traceparent(request)
        self._lines = lines
        self._places = iter(range(len(lines)))
        self._answers: list[Answer | None] = [None] * len(lines)

    async def answers(self) -> list[Answer | None]:
        """Send the commands, and return what became of each."""
        # Plain tasks, awaited in turn: `gather` and task groups hear of each one's end, which costs a line a tenth.
        create = asyncio.get_running_loop().create_task
        workers = [create(self._work()) for _ in range(min(WINDOW, len(self._lines)))]
        try:
            for worker in workers:
                await worker
        finally:
            for worker in workers:
                worker.cancel()
            self._count()
        return self._answers

    def _count(self) -> None:
        known = Counter(answer.code or answer.status for answer in self._answers if answer is not None)
        for code, lines in known.items():
            BATCH_LINES.labels(code).inc(lines)

    async def _work(self) -> None:
        # Between taking a place and handing its command to the producer nothing waits: the order of lines is kept.
        for place in self._places:
            try:
                line = _decoded(self._lines[place])
                wanted = self._wanted(line)
                if line.command_id:
                    outcome = await self._commanding.submit_named(wanted, line.command_id)
                    if wanted.envelope.command_id != line.command_id:
                        outcome = replace(outcome, request_id=line.command_id)
                else:
                    outcome = await self._commanding.submit(wanted)
            except Exception as error:
                refused = refusal_of(error)
                self._answers[place] = problem(refused.code, refused.detail, command_id=refused.command_id)
            else:
                self._answers[place] = outcome if outcome.accepted else of_outcome(outcome)

    def _wanted(self, line: BatchLine) -> Wanted:
        spec = COMMANDS.get(line.type)
        if spec is None:
            raise RequestRefused(Code.UNKNOWN_TYPE, f"command type {line.type!r} is not known")
        target = line.target or (self._workspace_id if spec.aggregate == "workspace" else "")
        if (target or not spec.creates) and not is_id(target):
            raise RequestRefused(Code.SCHEMA_INVALID, f"{line.type} needs a target that is an id")
        arguments, payload = admitted(spec, bytes(line.payload))
        command_id, key = _named(line)
        envelope = spec.envelope(
            payload,
            command_id=command_id,
            workspace_id=self._workspace_id,
            principal=self._identity.principal,
            target=target,
            expected_version=line.expected_version,
            idempotency_key=key,
            session_id=self._identity.session_id,
            traceparent=self._traceparent,
        )
        return Wanted(envelope, arguments)


def _named(line: BatchLine) -> tuple[str, str]:
    """Return the id and the key of a line's command.

    Dated ids are made here, so that each is given once: one that the caller made counts as its key.
    """
    given, key = line.command_id, line.idempotency_key or ""
    if given and uuid_version(given) != DATED:
        return given, key
    return new_command_id(), key or given or ""


def _media_type(request: HttpRequest) -> bytes:
    return request.headers.get(b"content-type", b"").partition(b";")[0].strip().lower()


def _split(raw: bytes, media_type: bytes) -> list[bytes]:
    """The commands of a body, each still undecoded. Raises `RequestRefused`."""
    if media_type in MEDIA_TYPES:
        return [line for line in raw.split(b"\n") if line and not line.isspace()]
    try:
        return [bytes(item) for item in _items.decode(raw)]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RequestRefused(EdgeCode.MALFORMED, "a batch in application/json is an array of commands") from error


def _decoded(raw: bytes) -> BatchLine:
    try:
        line = _line.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        if not is_json(raw):
            raise RequestRefused(EdgeCode.MALFORMED, "the line is not JSON") from error
        raise RequestRefused(Code.SCHEMA_INVALID, str(error)[:1_000]) from error
    if (encoded := _encode(line)) != raw:
        check_keys(raw, encoded)
    return line
