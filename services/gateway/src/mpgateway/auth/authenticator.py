"""From an `Authorization` header to an identity, remembered for a moment so that the hot path asks nobody."""

import time

from mpschema.problems import EdgeCode
from mpschema.rejections import Code

from mpgateway.auth import agent_tokens, api_keys
from mpgateway.auth.agent_tokens import AgentTokens
from mpgateway.auth.api_keys import ApiKeys
from mpgateway.auth.identity import Identity
from mpgateway.auth.oidc import Oidc
from mpgateway.http import HttpRequest, retry_after
from mpgateway.limits import RateLimiter
from mpgateway.problems import Refused

FRESH_SECONDS = 2.0
KNOWN_SECONDS = 600.0
REMEMBERED_MAX = 20_000
TOKEN_LETTERS_MAX = 8_192
_CHALLENGE = ((b"www-authenticate", b'Bearer realm="moduprompt"'),)


class Authenticator:
    """Tells credentials apart by their form and asks the one who knows that kind.

    A credential that proved good is believed for two seconds: that is how long a revocation may take to be felt.
    Failures are charged to the address they come from; credentials that were good lately are let through all the same.
    """

    def __init__(
        self,
        keys: ApiKeys,
        agents: AgentTokens,
        oidc: Oidc | None,
        operators: frozenset[str],
        failures: RateLimiter,
    ) -> None:
        self._keys = keys
        self._agents = agents
        self._oidc = oidc
        self._operators = operators
        self._failures = failures
        self._believed: dict[bytes, tuple[Identity, float]] = {}

    def remembered(self, authorization: bytes) -> Identity | None:
        """The identity behind a header that was verified moments ago."""
        known = self._believed.get(authorization)
        if known is None or time.monotonic() - known[1] > FRESH_SECONDS:
            return None
        identity = known[0]
        return identity if identity.expires_at is None or identity.expires_at > time.time() else None

    async def authenticate(self, request: HttpRequest) -> Identity:
        """The identity behind a request.

        Raises `Refused`: `unauthenticated`, or `overloaded` for an address that guesses.
        """
        authorization = request.headers.get(b"authorization", b"")
        if (identity := self.remembered(authorization)) is not None:
            return identity
        if not self._known_lately(authorization):
            self._refuse_guessing(request.address)
        token = _bearer(authorization)
        identity = await self._identify(token) if token else None
        if identity is None or (identity.expires_at is not None and identity.expires_at <= time.time()):
            self._believed.pop(authorization, None)
            await self._failures.take(request.address)
            detail = "the credential is unknown, expired or revoked" if token else "a bearer token is needed"
            raise Refused(EdgeCode.UNAUTHENTICATED, detail, headers=_CHALLENGE)
        self._remember(authorization, identity)
        return identity

    async def _identify(self, token: str) -> Identity | None:
        if token.startswith(api_keys.PREFIX):
            return await self._keys.identify(token)
        if agent_tokens.token_type(token) == agent_tokens.TYPE:
            return self._agents.identify(token)
        if self._oidc is not None:
            return await self._oidc.identify(token, self._operators)
        return None

    def _remember(self, authorization: bytes, identity: Identity) -> None:
        self._believed.pop(authorization, None)
        if len(self._believed) >= REMEMBERED_MAX:
            del self._believed[next(iter(self._believed))]
        self._believed[authorization] = (identity, time.monotonic())

    def _known_lately(self, authorization: bytes) -> bool:
        known = self._believed.get(authorization)
        return known is not None and time.monotonic() - known[1] < KNOWN_SECONDS

    def _refuse_guessing(self, address: str) -> None:
        if (seconds := self._failures.blocked(address)) > 0:
            detail = "too many failed attempts from this address"
            raise Refused(Code.OVERLOADED, detail, headers=retry_after(seconds))


def _bearer(authorization: bytes) -> str:
    scheme, _, token = authorization.partition(b" ")
    if scheme.lower() != b"bearer" or not token.isascii() or len(token) > TOKEN_LETTERS_MAX:
        return ""
    return token.strip().decode("ascii")
