"""JWTs of an OpenID Connect issuer, verified against the keys it publishes (JWKS)."""

import asyncio
import time

import httpx
import msgspec
import structlog
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import JWKRegistry, Key, KeySet

from mpgateway.auth.identity import Identity, principal_of_subject

ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"]
REFETCH_SECONDS = 30.0
KEYS_FRESH_SECONDS = 600.0
FETCH_SECONDS = 3.0
LEEWAY_SECONDS = 5
JWKS_BYTES_MAX = 1 << 20
log = structlog.get_logger(__name__)


_KeyFields = dict[str, str | list[str]]


class KeysUnavailable(Exception):
    """The issuer's keys could not be fetched yet: nothing can be verified, asking again later is safe."""


class _KeySet(msgspec.Struct):
    keys: list[_KeyFields]


class Oidc:
    """One issuer. Its keys are fetched when needed, again for an unknown key id, and the last good set is kept.

    At most one fetch in `REFETCH_SECONDS`, however many tokens come with made-up key ids.
    """

    def __init__(self, issuer: str, audience: str, jwks_url: str, *, refetch_seconds: float = REFETCH_SECONDS) -> None:
        self._jwks_url = jwks_url
        self._claims = jwt.JWTClaimsRegistry(
            leeway=LEEWAY_SECONDS,
            iss={"essential": True, "value": issuer},
            aud={"essential": True, "value": audience},
            exp={"essential": True},
            sub={"essential": True},
        )
        self._refetch_seconds = refetch_seconds
        self._keys: KeySet | None = None
        self._fetched_at = -float("inf")
        self._tried_at = -float("inf")
        self._fetching = asyncio.Lock()

    async def identify(self, token: str, operators: frozenset[str]) -> Identity | None:
        """Whose token it is; None for one that does not verify, is expired, or is meant for others.

        Raises `KeysUnavailable`.
        """
        if self._keys is None or time.monotonic() - self._fetched_at > KEYS_FRESH_SECONDS:
            await self._refetch()
        try:
            return self._identity(token, operators)
        except InvalidKeyIdError:
            await self._refetch()
        try:
            return self._identity(token, operators)
        except InvalidKeyIdError:
            return None

    def _identity(self, token: str, operators: frozenset[str]) -> Identity | None:
        if self._keys is None:
            raise KeysUnavailable
        try:
            claims = jwt.decode(token, self._keys, algorithms=ALGORITHMS).claims
            self._claims.validate(claims)
        except InvalidKeyIdError:
            raise
        except (JoseError, ValueError):
            return None
        principal = principal_of_subject(str(claims["sub"]))
        return Identity(principal=principal, operator=principal in operators, expires_at=float(claims["exp"]))

    async def _refetch(self) -> None:
        async with self._fetching:
            if time.monotonic() - self._tried_at < self._refetch_seconds:
                return
            self._tried_at = time.monotonic()
            try:
                self._keys = await self._fetch()
                self._fetched_at = time.monotonic()
            except (httpx.HTTPError, JoseError, ValueError, KeyError, TypeError) as error:
                log.warning("oidc.keys_not_fetched", error=f"{type(error).__name__}: {error}")

    async def _fetch(self) -> KeySet:
        async with httpx.AsyncClient(timeout=FETCH_SECONDS, trust_env=False) as client:
            answer = await client.get(self._jwks_url)
        answer.raise_for_status()
        if len(answer.content) > JWKS_BYTES_MAX:
            raise ValueError("the key set is too large")
        published = msgspec.json.decode(answer.content, type=_KeySet)
        return KeySet([key for fields in published.keys if (key := _imported(fields)) is not None])


def _imported(fields: _KeyFields) -> Key | None:
    try:
        return JWKRegistry.import_key(fields)
    except (JoseError, ValueError, KeyError, TypeError):
        return None  # An issuer may publish kinds of keys we do not know; a token signed by one will not verify.
