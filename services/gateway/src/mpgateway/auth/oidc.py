"""JWTs of an OpenID Connect issuer, verified against the keys it publishes (JWKS)."""

import asyncio
import time
from collections.abc import Callable

import httpx
import msgspec
import structlog
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import GuestProtocol, JWKRegistry, Key, KeySet, guess_key
from mpbus.tasks import end, watched

from mpgateway.auth.identity import Identity, UnfitClaim, check_times, principal_of_subject

ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"]
REFETCH_SECONDS = 30.0
KEYS_FRESH_SECONDS = 60.0
"""The greatest age of the keys while tokens of the provider are in use: so long a withdrawn key may still count."""
KEYS_KEPT_SECONDS = 3_600.0
"""The time for which the last good keys count while the provider does not answer."""
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
    """One issuer. Its keys are fetched when needed, again for an unknown key id, and anew while they are in use.

    At most one fetch in `REFETCH_SECONDS`, however many tokens come with made-up key ids. `on_change` is called when
    keys were withdrawn: what rests on them ends then.
    """

    def __init__(
        self,
        issuer: str,
        audience: str,
        jwks_url: str,
        operators: frozenset[str] = frozenset(),
        *,
        refetch_seconds: float = REFETCH_SECONDS,
        fresh_seconds: float = KEYS_FRESH_SECONDS,
        kept_seconds: float = KEYS_KEPT_SECONDS,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        self._jwks_url = jwks_url
        self._operators = operators
        self._fresh_seconds = fresh_seconds
        self._kept_seconds = kept_seconds
        self._on_change = on_change
        self._published: frozenset[str] = frozenset()
        self._keeping: asyncio.Task[None] | None = None
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

    async def identify(self, token: str) -> Identity | None:
        """Return the identity of a token; None for one that does not verify, is expired, or is meant for others.

        Raises `KeysUnavailable` and `UnfitClaim`.
        """
        if self._keys is None or time.monotonic() - self._fetched_at > self._fresh_seconds:
            await self._refetch()
        if self._keeping is None or self._keeping.done():
            self._keeping = watched(self._keep_fresh(), "oidc.keys", lambda _: self._publish(None))
        try:
            return self._identity(token)
        except InvalidKeyIdError:
            await self._refetch()
        try:
            return self._identity(token)
        except InvalidKeyIdError:
            return None

    def publishes(self, thumbprint: str) -> bool:
        """Tell whether the provider still stands by a key, as far as is known."""
        return thumbprint in self._published

    async def close(self) -> None:
        """Fetch no more."""
        if self._keeping is not None:
            await end(self._keeping)

    def _identity(self, token: str) -> Identity | None:
        keys, used = self._keys, list[Key]()
        if keys is None:
            raise KeysUnavailable

        def choose(signed: GuestProtocol) -> Key:
            used.append(guess_key(keys, signed))
            return used[-1]

        try:
            claims = jwt.decode(token, choose, algorithms=ALGORITHMS).claims
            check_times(claims)
            self._claims.validate(claims)
        except (InvalidKeyIdError, UnfitClaim):
            raise
        except (JoseError, ValueError):
            return None
        principal = principal_of_subject(str(claims["sub"]))
        return Identity(
            principal=principal,
            operator=principal in self._operators,
            expires_at=float(claims["exp"]),
            signed_by=used[-1].thumbprint(),
        )

    async def _keep_fresh(self) -> None:
        """Fetch the keys again and again; those of a provider that does not answer count only so long."""
        while True:
            due = next_fetch(self._fetched_at, self._tried_at, self._fresh_seconds, self._refetch_seconds)
            await asyncio.sleep(due - time.monotonic())
            await self._refetch()
            if time.monotonic() - self._fetched_at > self._kept_seconds:
                log.error("oidc.keys_too_old", seconds=self._kept_seconds)
                self._publish(None)

    def _publish(self, keys: KeySet | None) -> None:
        self._keys = keys
        before, self._published = self._published, frozenset(key.thumbprint() for key in keys or ())
        if before - self._published:
            self._on_change()

    async def _refetch(self) -> None:
        async with self._fetching:
            if time.monotonic() - self._tried_at < self._refetch_seconds:
                return
            self._tried_at = time.monotonic()
            try:
                self._publish(await self._fetch())
                self._fetched_at = time.monotonic()
            except (httpx.HTTPError, TimeoutError, JoseError, ValueError, KeyError, TypeError) as error:
                log.warning("oidc.keys_not_fetched", error=f"{type(error).__name__}: {error}")

    async def _fetch(self) -> KeySet:
        body = bytearray()
        async with (
            asyncio.timeout(FETCH_SECONDS),
            httpx.AsyncClient(timeout=FETCH_SECONDS, trust_env=False) as client,
            client.stream("GET", self._jwks_url, headers={"accept-encoding": "identity"}) as answer,
        ):
            answer.raise_for_status()
            async for piece in answer.aiter_raw():
                body += piece
                if len(body) > JWKS_BYTES_MAX:
                    raise ValueError("the key set is too large")
        published = msgspec.json.decode(body, type=_KeySet)
        return KeySet([key for fields in published.keys if (key := _imported(fields)) is not None])


def next_fetch(fetched_at: float, tried_at: float, fresh_seconds: float, refetch_seconds: float) -> float:
    """Return when the keys are to be fetched again: once they are no longer fresh, and not sooner than allowed.

    All in seconds of one clock. An unknown key id may have had them fetched in between, and so too soon to try again.
    """
    return max(fetched_at + fresh_seconds, tried_at + (refetch_seconds or fresh_seconds))


def _imported(fields: _KeyFields) -> Key | None:
    try:
        return JWKRegistry.import_key(fields)
    except (JoseError, ValueError, KeyError, TypeError):
        return None  # An issuer may publish kinds of keys we do not know; a token signed by one will not verify.
