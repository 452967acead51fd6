"""JWTs of an identity provider: verified against the keys it publishes, and nothing else."""

from __future__ import annotations

import asyncio
import hmac
import json
import threading
import time
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeyParameters, RSAKey
from mpd.ports import free_port
from mpd.stack import Stack
from mpgateway.auth.identity import UnfitClaim, principal_of_subject
from mpgateway.auth.oidc import KeysUnavailable, Oidc, next_fetch
from mpgateway.main import identity_provider
from mpgateway.settings import GatewaySettings
from mpgateway.streaming.ring import Ring
from mpschema import levels

ISSUER, AUDIENCE = "https://id.example", "moduprompt"


class Provider:
    """An identity provider on a free port: its keys, and how often they were fetched."""

    def __init__(self) -> None:
        self.keys: list[RSAKey | ECKey] = []
        self.extra: list[dict[str, str]] = []
        self.believers: list[Oidc] = []
        self.fetches = 0
        self.away = False
        self.endless = b""
        self.sent = 0
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider.fetches += 1
                self.send_response(503 if provider.away else 200)
                self.end_headers()
                while provider.endless:
                    self.wfile.write(provider.endless)
                    provider.sent += len(provider.endless)
                    time.sleep(0 if len(provider.endless) > 1 else 0.1)
                self.wfile.write(json.dumps(provider.published()).encode())

            def handle(self) -> None:
                with suppress(ConnectionError):
                    super().handle()

            def log_request(self, *_: object) -> None:
                """Nothing: tests are quiet."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/jwks"

    def published(self) -> dict[str, Any]:
        return {"keys": [key.as_dict(private=False) for key in self.keys] + self.extra}

    def new_key(self, kid: str, kind: str = "RSA") -> RSAKey | ECKey:
        parameters = KeyParameters(kid=kid, use="sig")
        key = RSAKey.generate_key(2048, parameters) if kind == "RSA" else ECKey.generate_key("P-256", parameters)
        self.keys.append(key)
        return key

    def oidc(self, operators: frozenset[str] = frozenset(), **options: Any) -> Oidc:
        """Return an authenticator that trusts this provider, until the test ends."""
        self.believers.append(Oidc(ISSUER, AUDIENCE, self.url, operators, **options))
        return self.believers[-1]


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    provider = Provider()
    yield provider
    for believer in provider.believers:
        await believer.close()
    provider.server.shutdown()
    provider.server.server_close()


def _token(key: RSAKey | ECKey, algorithm: str = "RS256", **changes: Any) -> str:
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "exp": int(time.time()) + 60} | changes
    present = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode({"alg": algorithm, "kid": key.kid}, present, key, algorithms=[algorithm])


@pytest.mark.parametrize(("kind", "algorithm"), [("RSA", "RS256"), ("RSA", "PS256"), ("EC", "ES256")])
async def test_a_good_token_identifies_its_subject(provider: Provider, kind: str, algorithm: str) -> None:
    key = provider.new_key("k1", kind)
    identity = await provider.oidc().identify(_token(key, algorithm))
    assert identity is not None
    assert (identity.principal, identity.workspace_id, identity.operator) == ("user:alice", None, False)


async def test_a_subject_may_be_an_operator(provider: Provider) -> None:
    oidc = provider.oidc(frozenset({"user:alice"}))
    identity = await oidc.identify(_token(provider.new_key("k1")))
    assert identity is not None
    assert identity.operator


async def test_several_audiences_are_fine_when_ours_is_among_them(provider: Provider) -> None:
    token = _token(provider.new_key("k1"), aud=["others", AUDIENCE])
    assert await provider.oidc().identify(token) is not None


async def test_who_operates_by_the_last_election_alone_gives_the_commands_of_operators(
    provider: Provider, tmp_path: Path
) -> None:
    key = provider.new_key("k1")
    issuer = {"MP_OIDC_ISSUER": ISSUER, "MP_OIDC_AUDIENCE": AUDIENCE, "MP_OIDC_JWKS_URL": provider.url}
    settings = {"kernel": {"MP_OPERATORS": "user:root,user:alice"}, "gateway": issuer | {"MP_OPERATORS": "user:root"}}
    stack = Stack(tmp_path / "stack", http_port=free_port(), settings=settings)
    await asyncio.to_thread(stack.start)
    try:
        async with httpx.AsyncClient(base_url=stack.url, timeout=30) as http:
            codes = [await _raise_too_high(http, _token(key, sub=subject)) for subject in ("alice", "bob")]
    finally:
        await asyncio.to_thread(stack.kill)
    assert codes == ["invalid_state", "denied"]


async def _raise_too_high(http: httpx.AsyncClient, token: str) -> str:
    """With what code a level is refused that no build reads yet."""
    answer = await http.post(
        "/v1/log/raise_feature_level",
        json={"level": levels.FEATURE_LEVEL + 1},
        headers={"authorization": f"Bearer {token}"},
    )
    return str(answer.json()["code"])


async def test_keys_are_fetched_no_more_once_the_gateway_ends(
    provider: Provider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MP_SECRETS_DIR", str(tmp_path))
    monkeypatch.setenv("MP_POSTGRES_DSN", "postgresql://127.0.0.1/none")
    named: dict[str, Any] = {"oidc_issuer": ISSUER, "oidc_audience": AUDIENCE, "oidc_jwks_url": provider.url}
    token, before = _token(provider.new_key("k1")), asyncio.all_tasks()
    async with AsyncExitStack() as stack:
        oidc = identity_provider(GatewaySettings(**named), Ring(1 << 20), stack)
        assert oidc is not None
        assert await oidc.identify(token) is not None
        (fetching,) = asyncio.all_tasks() - before
    assert fetching.done()


WRONG: list[dict[str, Any]] = [
    {"iss": "https://other.example"},
    {"iss": None},
    {"aud": "others"},
    {"aud": None},
    {"exp": int(time.time()) - 60},
    {"exp": None},
    {"sub": None},
    {"nbf": int(time.time()) + 86_400},
]


@pytest.mark.parametrize("changes", WRONG, ids="-".join)
async def test_a_wrong_or_missing_claim_identifies_nobody(provider: Provider, changes: dict[str, Any]) -> None:
    assert await provider.oidc().identify(_token(provider.new_key("k1"), **changes)) is None


UNFIT: list[dict[str, Any]] = [
    {"exp": 1e300},
    {"exp": 10**400},
    {"exp": -1},
    {"exp": True},
    {"exp": "2030-01-01"},
    {"exp": time.time() + 600.5},
    {"nbf": -5},
    {"nbf": 0.5},
    {"iat": 1e300},
    {"iat": [1]},
]


@pytest.mark.parametrize("changes", UNFIT, ids="-".join)
async def test_a_time_that_is_none_is_told_as_such(provider: Provider, changes: dict[str, Any]) -> None:
    with pytest.raises(UnfitClaim, match=f"claim {next(iter(changes))} .* whole number"):
        await provider.oidc().identify(_token(provider.new_key("k1"), **changes))


@pytest.mark.parametrize(
    ("fetched_at", "tried_at", "due"),
    [(0, 0, 60), (32, 32, 92), (0, 59, 89)],
    ids=["kept fresh", "an unknown key id had them fetched between two looks", "the provider did not answer"],
)
def test_keys_are_fetched_as_soon_as_they_are_no_longer_fresh(fetched_at: int, tried_at: int, due: int) -> None:
    assert next_fetch(fetched_at, tried_at, fresh_seconds=60, refetch_seconds=30) == due


async def test_a_withdrawn_key_ends_what_it_signed(provider: Provider) -> None:
    ended = asyncio.Event()
    oidc = provider.oidc(refetch_seconds=0, fresh_seconds=0.05, on_change=ended.set)
    token = _token(provider.new_key("k1"))
    identity = await oidc.identify(token)
    assert identity is not None
    assert oidc.publishes(identity.signed_by)
    provider.keys.clear()
    provider.new_key("k1")  # The same id, and another key.
    await asyncio.wait_for(ended.wait(), 30)
    assert not oidc.publishes(identity.signed_by)
    assert await oidc.identify(token) is None


async def test_keys_of_a_provider_that_is_away_for_long_count_no_more(provider: Provider) -> None:
    ended = asyncio.Event()
    oidc = provider.oidc(refetch_seconds=0, fresh_seconds=0.05, kept_seconds=0.2, on_change=ended.set)
    token = _token(provider.new_key("k1"))
    await oidc.identify(token)
    provider.away = True
    await asyncio.wait_for(ended.wait(), 30)
    with pytest.raises(KeysUnavailable):
        await oidc.identify(token)


async def test_a_signature_of_another_key_identifies_nobody(provider: Provider) -> None:
    provider.new_key("k1")
    forged = RSAKey.generate_key(2048, {"kid": "k1"})
    assert await provider.oidc().identify(_token(forged)) is None


async def test_a_public_key_is_no_shared_secret(provider: Provider) -> None:
    key = provider.new_key("k1")
    header = urlsafe_b64encode(b'{"alg":"HS256","kid":"k1"}').rstrip(b"=")
    signed = header + b"." + _token(key).split(".")[1].encode()
    signature = hmac.digest(key.as_pem(private=False), signed, "sha256")
    confused = signed + b"." + urlsafe_b64encode(signature).rstrip(b"=")
    assert await provider.oidc().identify(confused.decode()) is None


async def test_an_unsigned_token_identifies_nobody(provider: Provider) -> None:
    provider.new_key("k1")
    assert await provider.oidc().identify("eyJhbGciOiJub25lIiwia2lkIjoiazEifQ.e30.") is None


async def test_a_key_that_is_new_is_fetched(provider: Provider) -> None:
    oidc = provider.oidc(refetch_seconds=0)
    await oidc.identify(_token(provider.new_key("k1")))
    assert await oidc.identify(_token(provider.new_key("k2"))) is not None


async def test_made_up_key_ids_do_not_make_us_fetch_again_and_again(provider: Provider) -> None:
    oidc = provider.oidc()
    await oidc.identify(_token(provider.new_key("k1")))
    for number in range(20):
        stranger = ECKey.generate_key("P-256", {"kid": f"made-up-{number}"})
        assert await oidc.identify(_token(stranger, "ES256")) is None
    assert provider.fetches == 1


async def test_the_last_good_keys_are_kept_while_the_provider_is_away(provider: Provider) -> None:
    oidc = provider.oidc(refetch_seconds=0)
    token = _token(provider.new_key("k1"))
    await oidc.identify(token)
    provider.away = True
    assert await oidc.identify(_token(RSAKey.generate_key(2048, {"kid": "k9"}))) is None
    assert await oidc.identify(token) is not None


async def test_without_any_keys_nothing_can_be_said(provider: Provider) -> None:
    token = _token(provider.new_key("k1"))
    provider.away = True
    with pytest.raises(KeysUnavailable):
        await provider.oidc().identify(token)


async def test_keys_of_a_kind_we_do_not_know_are_left_aside(provider: Provider) -> None:
    provider.extra.append({"kty": "QUANTUM", "kid": "q1"})
    assert await provider.oidc().identify(_token(provider.new_key("k1"))) is not None


@pytest.mark.parametrize(
    ("subject", "principal"),
    [
        ("alice", "user:alice"),
        ("alice@example", "user:alice@example"),
        ("root", None),
        ("auth0|abc", None),
        ("x" * 200, None),
        ("", None),
        ("a" * 64, None),
    ],
)
def test_a_subject_names_one_principal(subject: str, principal: str | None) -> None:
    found = principal_of_subject(subject)
    if principal is None:
        assert found.startswith("user:")
        assert len(found) == len("user:") + 64
    else:
        assert found == principal


@pytest.mark.parametrize("endless", [b"k" * 65_536, b"k"], ids=["fast", "drop by drop"])
async def test_keys_without_end_are_not_read_to_the_end(provider: Provider, endless: bytes) -> None:
    key = provider.new_key("k1")
    provider.endless = endless
    with pytest.raises(KeysUnavailable):
        await asyncio.wait_for(provider.oidc().identify(_token(key)), 60)
    provider.endless = b""
    assert provider.sent < 16 << 20
