"""From a request to a command in the stream, and from its recorded outcome to an answer.

The gateway identifies who asks and checks that the words fit the schema. Whether it may happen is the kernel's to say.
"""

import hashlib
import re
from urllib.parse import quote

import msgspec
from mpbus.ids import new_command_id
from mpbus.producer import CommandProducer
from mpschema import codec
from mpschema.api import POSITION_HEADER, Enqueued
from mpschema.base import Command
from mpschema.endpoints import not_public, unusable
from mpschema.envelope import CommandEnvelope, Outcome
from mpschema.ids import derived_id, is_id
from mpschema.problems import EdgeCode
from mpschema.rejections import Code, Rejection
from mpschema.system import LOG, SYSTEM_WORKSPACE
from mpschema.vocabulary import CommandSpec
from mpschema.webhook import ConfigureWebhook, CreateWebhook
from mpviews.denials import Denial

from mpgateway.auth.refusals import Refusals
from mpgateway.conditions import expected_version
from mpgateway.http import JSON, Headers, HttpRequest, Response, trace_id
from mpgateway.metrics import IN_FLIGHT
from mpgateway.problems import RequestRefused, of_outcome, of_rejection, problem_answer
from mpgateway.strict import check_media_type

BODY_BYTES_MAX = 1 << 20
JSON_TYPE = frozenset({b"application/json"})
JSON_WANTED = "the arguments of a command are application/json"
_NEW_ID = frozenset({"id"})
_NOTHING: frozenset[str] = frozenset()
_KEY = re.compile(r"^[\x21-\x7e]{1,200}\Z")
_TRACEPARENT = re.compile(r"^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}\Z")
_POSITION = POSITION_HEADER.lower().encode()
_encode = msgspec.json.Encoder().encode


class Wanted(msgspec.Struct, frozen=True, gc=False):
    """A command that a request asks for, with its arguments as they were read from the body."""

    envelope: CommandEnvelope
    arguments: Command


class Commanding:
    """Sends the commands of this process, through one producer."""

    def __init__(
        self, producer: CommandProducer, refusals: Refusals, outcome_seconds: float, *, private_endpoints: bool
    ) -> None:
        self._producer = producer
        self._refusals = refusals
        self._private_endpoints = private_endpoints
        self._outcome_seconds = outcome_seconds
        self._named: dict[tuple[str, str, str], str] = {}
        IN_FLIGHT.set_function(lambda: producer.in_flight)

    async def command(self, spec: CommandSpec, request: HttpRequest) -> Response:
        """Answer a request for one command. Raises `RequestRefused`, or what the producer raises."""
        wanted = await self.read(spec, request)
        if _responds_async(request):
            self._check(wanted)
            await self._producer.enqueue(wanted.envelope)
            return _enqueued(wanted.envelope)
        outcome = await self.submit(wanted)
        return answer_of_outcome(outcome, request, creates=spec.creates)

    async def submit(self, wanted: Wanted) -> Outcome:
        """Send a command and wait for its recorded outcome. Raises `RequestRefused`, or what the producer raises."""
        self._check(wanted)
        envelope = wanted.envelope
        outcome = await self._producer.submit(envelope, self._outcome_seconds)
        if outcome.code is Code.DENIED and not outcome.duplicate:
            self._refusals.count_denied(Denial(outcome.first_seq, envelope.workspace_id, envelope.principal))
        return outcome

    async def submit_named(self, wanted: Wanted, command_id: str) -> Outcome:
        """Send a command whose id its sender chose. Two at once under one id are the same, or one is refused."""
        envelope = wanted.envelope
        name = (envelope.workspace_id, envelope.principal, command_id)
        request = f"{envelope.idempotency_key} {codec.request_digest(envelope)}"
        if self._named.setdefault(name, request) != request:
            raise RequestRefused(Code.IDEMPOTENCY_CONFLICT, "another command under this id waits for its outcome")
        try:
            return await self.submit(wanted)
        finally:
            self._named.pop(name, None)

    async def read(self, spec: CommandSpec, request: HttpRequest) -> Wanted:
        """Read the command that a request stands for. Raises `RequestRefused`."""
        raw = await request.body(BODY_BYTES_MAX)
        if raw:
            check_media_type(request, JSON_TYPE, JSON_WANTED)
        arguments, payload = admitted(spec, raw or b"{}")
        return Wanted(self.envelope(spec, request, payload), arguments)

    def envelope(self, spec: CommandSpec, request: HttpRequest, payload: bytes) -> CommandEnvelope:
        """The envelope around a payload: principal, target and conditions of the request. Raises `RequestRefused`."""
        identity = request.identity
        command_id = new_command_id()
        key = idempotency_key(request)
        given = _given_id(spec, request)
        workspace_id = _workspace_id(spec, request) or given or _new_workspace_id(identity.principal, key, command_id)
        check_path_id(workspace_id)
        return spec.envelope(
            payload,
            command_id=command_id,
            workspace_id=workspace_id,
            principal=identity.principal,
            target=workspace_id if spec.aggregate == "workspace" else given,
            expected_version=expected_version(spec, request),
            idempotency_key=key,
            session_id=identity.session_id,
            correlation_id=_correlation_id(request),
            traceparent=traceparent(request),
        )

    def _check(self, wanted: Wanted) -> None:
        """Refuse a principal that is denied again and again, and an endpoint that nothing can be delivered to."""
        self._refusals.check_denied(wanted.envelope.workspace_id, wanted.envelope.principal)
        arguments = wanted.arguments
        if type(arguments) is CreateWebhook or type(arguments) is ConfigureWebhook:
            endpoint = arguments.endpoint
            if endpoint is not None and (why := self._misfit(endpoint)):
                raise RequestRefused(Code.SCHEMA_INVALID, why)

    def _misfit(self, endpoint: str) -> str:
        return unusable(endpoint) or ("" if self._private_endpoints else not_public(endpoint))


def admitted(spec: CommandSpec, raw: bytes) -> tuple[Command, bytes]:
    """The arguments in a body, and their canonical bytes, which travel. Raises `RequestRefused`."""
    read = codec.admit(spec.decoder, raw)
    if not isinstance(read, Rejection):
        return read
    if read.code is Code.SCHEMA_INVALID and not is_json(raw):
        raise RequestRefused(EdgeCode.MALFORMED, "the body is not JSON")
    raise of_rejection(read)


def is_json(raw: bytes) -> bool:
    """True when bytes are one JSON value that is not nested beyond reason."""
    try:
        msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def answer_of_outcome(outcome: Outcome, request: HttpRequest, *, creates: bool = False) -> Response:
    """The HTTP answer of a recorded outcome."""
    headers: Headers = ((_POSITION, b"%d:%d" % (outcome.epoch, outcome.last_seq)),)
    if not outcome.accepted:
        return problem_answer(of_outcome(outcome, request.path, trace_id(request)), headers)
    if not creates:
        return Response(200, _encode(outcome), (*JSON, *headers))
    location = (b"location", f"{request.path}/{outcome.target}".encode())
    return Response(201, _encode(outcome), (*JSON, location, *headers))


def check_path_id(value: str) -> None:
    """Refuse a part of a path that cannot be an id. Raises `RequestRefused`."""
    if not is_id(value):
        raise RequestRefused(Code.NOT_FOUND, "there is nothing at this path: a part of it is no id")


def idempotency_key(request: HttpRequest) -> str:
    """The key that names the intention, empty when none was given. Raises `RequestRefused`."""
    if b"idempotency-key" not in request.headers:
        return ""
    key = request.header(b"idempotency-key")
    if not _KEY.match(key):
        raise RequestRefused(EdgeCode.MALFORMED, "Idempotency-Key is 1 to 200 visible ASCII characters")
    return key


def traceparent(request: HttpRequest) -> str | None:
    """The W3C trace context of the request. Raises `RequestRefused`."""
    if b"traceparent" not in request.headers:
        return None
    value = request.header(b"traceparent")
    if not _TRACEPARENT.match(value):
        raise RequestRefused(EdgeCode.MALFORMED, "traceparent is not as W3C Trace Context writes it")
    return value


def _correlation_id(request: HttpRequest) -> str | None:
    if b"x-correlation-id" not in request.headers:
        return None
    value = request.header(b"x-correlation-id")
    if not is_id(value):
        raise RequestRefused(EdgeCode.MALFORMED, "X-Correlation-Id is 1 to 128 of letters, digits, _ : @ -")
    return value


def _workspace_id(spec: CommandSpec, request: HttpRequest) -> str:
    """The workspace of the path, the system's for the log. Who may ask about the log, the door has told already."""
    return SYSTEM_WORKSPACE if spec.aggregate == LOG else request.params.get("workspace_id", "")


def _given_id(spec: CommandSpec, request: HttpRequest) -> str:
    query = request.query(_NEW_ID if spec.creates else _NOTHING)
    if spec.aggregate == LOG:
        return LOG
    if not spec.creates:
        given = request.params.get("id", "")
        if given or spec.aggregate != "workspace":
            check_path_id(given)
        return given
    given = query.get("id", [""])[0]
    if "id" in query and not is_id(given):
        raise RequestRefused(Code.SCHEMA_INVALID, "id is 1 to 128 of letters, digits, _ : @ -")
    return given


def _new_workspace_id(principal: str, key: str, command_id: str) -> str:
    """A workspace is its own tenant, so its id stands before the kernel sees it: the same for a repeated request."""
    if not key:
        return derived_id("workspace", command_id)
    return "workspace_" + hashlib.sha256(f"{principal}\n{key}".encode()).hexdigest()[:32]


def _responds_async(request: HttpRequest) -> bool:
    prefer = request.headers.get(b"prefer")
    if prefer is None:
        return False
    if prefer.strip().lower() != b"respond-async":
        raise RequestRefused(EdgeCode.MALFORMED, "Prefer knows respond-async alone")
    return True


def _enqueued(envelope: CommandEnvelope) -> Response:
    commands = f"/v1/workspaces/{envelope.workspace_id}/commands"
    # A repeated request has an id of its own, under which nothing is recorded: by its key the outcome is found.
    key = envelope.idempotency_key
    by_key = f"idempotency_key={quote(key, safe='')}&actor={quote(envelope.principal, safe='')}"
    location = f"{commands}?{by_key}" if key else f"{commands}/{envelope.command_id}"
    body = _encode(Enqueued(command_id=envelope.command_id))
    return Response(202, body, (*JSON, (b"location", location.encode())))
