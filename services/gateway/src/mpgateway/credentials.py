"""Commands whose answer carries a secret, of a key, an agent or a webhook. It is shown once and stored nowhere."""

import secrets
import time

import msgspec
from mpschema import codec
from mpschema.api import IssuedKey, IssuedSecret, IssuedToken, NewKey
from mpschema.envelope import Outcome
from mpschema.keys import PREFIX, ROOT_KEY_ID
from mpschema.principal import IssueKey, ended_already
from mpschema.problems import EdgeCode
from mpschema.registry import COMMANDS
from mpschema.rejections import Code
from mpschema.session import SessionTokenIssued
from mpschema.signing import webhook_secret
from mpschema.vocabulary import CommandSpec
from mpschema.webhook import WebhookSecretRotated

from mpgateway.auth.agent_tokens import AgentTokens
from mpgateway.auth.api_keys import ApiKeys
from mpgateway.commanding import (
    BODY_BYTES_MAX,
    JSON_TYPE,
    JSON_WANTED,
    Commanding,
    Wanted,
    answer_of_outcome,
    idempotency_key,
    is_json,
)
from mpgateway.http import HttpRequest, Response
from mpgateway.problems import RequestRefused
from mpgateway.streaming.feed import Feed
from mpgateway.strict import check_keys, check_media_type

ISSUE_KEY = COMMANDS["principal.issue_key"]
_new_key = msgspec.json.Decoder(NewKey)
_encode = msgspec.json.Encoder().encode


class CredentialIssuer:
    """Makes the secrets; the kernel decides whether they may be, and records their hash or id."""

    def __init__(
        self, commanding: Commanding, keys: ApiKeys, tokens: AgentTokens, webhook_key: bytes, feed: Feed
    ) -> None:
        self._commanding = commanding
        self._keys = keys
        self._tokens = tokens
        self._webhook_key = webhook_key
        self._feed = feed

    async def issue_key(self, request: HttpRequest) -> Response:
        """Make an API key for a principal. Under an `Idempotency-Key`, a repeated request gets the same key again.

        One that would have ended already is refused, in a repeat too: nobody could use it.
        """
        wanted = await _read_new_key(request)
        if wanted.expires_at_ms is not None and wanted.expires_at_ms <= time.time() * 1_000:
            raise RequestRefused(Code.SCHEMA_INVALID, ended_already(wanted.expires_at_ms))
        seed = self._seed(request)
        key_id = wanted.key_id or (self._keys.new_secret(seed + b"id")[:16] if seed else secrets.token_hex(8))
        if key_id == ROOT_KEY_ID:
            raise RequestRefused(Code.ALREADY_EXISTS, f"the key id {ROOT_KEY_ID!r} is taken by the installation")
        key = f"{PREFIX}{key_id}_{self._keys.new_secret(seed)}"
        arguments = IssueKey(key_id=key_id, key_hash=self._keys.hash(key), expires_at_ms=wanted.expires_at_ms)
        envelope = self._commanding.envelope(ISSUE_KEY, request, codec.encode(arguments))
        outcome = await self._commanding.submit(Wanted(envelope, arguments))
        answer = answer_of_outcome(outcome, request)
        if not outcome.accepted:
            return answer
        issued = IssuedKey(**msgspec.structs.asdict(outcome), key_id=key_id, key=key)
        return Response(201, _encode(issued), answer.headers)

    async def issue_token(self, spec: CommandSpec, request: HttpRequest) -> Response:
        """Make an agent token for a session. Its id and expiry are those of the recorded event."""
        wanted = await self._commanding.read(spec, request)
        outcome = await self._commanding.submit(wanted)
        answer = answer_of_outcome(outcome, request)
        if outcome.accepted:
            token = await self._token(wanted.envelope.workspace_id, outcome)
            answer.body = _encode(IssuedToken(**msgspec.structs.asdict(outcome), token=token))
        return answer

    async def _token(self, workspace_id: str, outcome: Outcome) -> str:
        record = await self._feed.record(outcome.first_seq)
        issued = record.data
        assert isinstance(issued, SessionTokenIssued), "the outcome of issue_token is that a token was issued"
        return self._tokens.sign(
            workspace_id=workspace_id,
            session_id=record.aggregate_id,
            token_id=issued.token_id,
            expires_at_ms=issued.expires_at_ms,
        )

    async def issue_secret(self, spec: CommandSpec, request: HttpRequest) -> Response:
        """Create a webhook, or give it a new secret. Which of its secrets it is says the recorded event."""
        wanted = await self._commanding.read(spec, request)
        outcome = await self._commanding.submit(wanted)
        answer = answer_of_outcome(outcome, request, creates=spec.creates)
        if outcome.accepted:
            record = await self._feed.record(outcome.first_seq)
            rotated = record.data
            generation = rotated.generation if isinstance(rotated, WebhookSecretRotated) else 1
            workspace_id = wanted.envelope.workspace_id
            secret = webhook_secret(self._webhook_key, workspace_id, record.aggregate_id, generation)
            answer.body = _encode(IssuedSecret(**msgspec.structs.asdict(outcome), secret=secret))
        return answer

    def _seed(self, request: HttpRequest) -> bytes | None:
        key = idempotency_key(request)
        if not key:
            return None
        parts = (request.params["workspace_id"], request.params["id"], request.identity.principal, key)
        return "\n".join(parts).encode()


async def _read_new_key(request: HttpRequest) -> NewKey:
    raw = await request.body(BODY_BYTES_MAX)
    if raw:
        check_media_type(request, JSON_TYPE, JSON_WANTED)
    try:
        wanted = _new_key.decode(raw or b"{}")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        if not is_json(raw):
            raise RequestRefused(EdgeCode.MALFORMED, "the body is not JSON") from error
        raise RequestRefused(Code.SCHEMA_INVALID, str(error)[:1_000]) from error
    check_keys(raw or b"{}", _encode(wanted))
    return wanted
