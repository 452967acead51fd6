"""From an `Authorization` header to an identity, remembered as long as it is good, so that the hot path asks nobody."""

import hashlib
import re

from mpschema.keys import PREFIX
from mpschema.problems import EdgeCode
from mpschema.rejections import Code

from mpgateway.auth import agent_tokens
from mpgateway.auth.access import Access
from mpgateway.auth.agent_tokens import AgentTokens
from mpgateway.auth.api_keys import ApiKeys
from mpgateway.auth.identity import Identity, UnfitClaim
from mpgateway.auth.oidc import Oidc
from mpgateway.auth.refusals import Refusals
from mpgateway.http import HttpRequest, retry_after
from mpgateway.problems import RequestRefused

REMEMBERED_MAX = 20_000
"""Each is a digest and an identity, whose parts are ids of bounded length: together about 20 MB."""
RECENT_MAX = 1_000
"""The headers that are known as they stand, each of 8 kB at most: most requests come with one of a few."""
_BEARER = re.compile(rb"[Bb][Ee][Aa][Rr][Ee][Rr] ([A-Za-z0-9_.:@-]{1,8192})\Z")
"""One space, and no letter that neither a key nor a JWT has: a credential has one spelling."""
_CHALLENGE = ((b"www-authenticate", b'Bearer realm="moduprompt"'),)
_UNKNOWN = "the credential is unknown, expired or revoked"


class Authenticator:
    """Tells credentials apart by their form and asks the one who knows that kind.

    A credential that proved good stays so until it ends: by its own time, by the log, by the provider's keys. That is
    looked up at every request. Failures are charged to the address they come from, after the credential was looked at:
    who guesses behind the same address as others costs them nothing.
    """

    def __init__(
        self, access: Access, keys: ApiKeys, agents: AgentTokens, oidc: Oidc | None, refusals: Refusals
    ) -> None:
        self._access = access
        self._keys = keys
        self._agents = agents
        self._oidc = oidc
        self._refusals = refusals
        self._believed: dict[bytes, Identity] = {}
        self._recent: dict[bytes, Identity] = {}

    def remembered(self, authorization: bytes) -> Identity | None:
        """The identity behind a header that was verified before, while it is good."""
        identity = self._recent.get(authorization)
        if identity is not None:
            if self.ended(identity) is None:
                return identity
            del self._recent[authorization]
        token = _bearer(authorization)
        identity = self._still_good(_digest(token)) if token else None
        if identity is not None:
            _keep(self._recent, RECENT_MAX, authorization, identity)
        return identity

    def _still_good(self, digest: bytes) -> Identity | None:
        identity = self._believed.get(digest)
        return identity if identity is not None and self.ended(identity) is None else None

    def ended(self, identity: Identity) -> str | None:
        """Say why the identity's credential is good no more; None while it is."""
        if identity.signed_by and (self._oidc is None or not self._oidc.publishes(identity.signed_by)):
            return "revoked"
        return self._access.ended(identity)

    async def authenticate(self, request: HttpRequest) -> Identity:
        """The identity behind a request.

        Raises `RequestRefused`: `unauthenticated`, or `overloaded` for an address that guesses.
        """
        token = _bearer(request.headers.get(b"authorization", b""))
        digest = _digest(token)
        if (identity := self._still_good(digest)) is not None:
            return identity
        self._believed.pop(digest, None)
        detail = _UNKNOWN if token else "a bearer token is needed: the word Bearer, one space, and the token"
        try:
            identity = await self._identify(token, request.address) if token else None
        except UnfitClaim as unfit:
            identity, detail = None, str(unfit)
        if identity is not None and self.ended(identity) is None:
            _keep(self._believed, REMEMBERED_MAX, digest, identity)
            return identity
        if seconds := await self._refusals.count_address(request.address):
            slow = "too many failed attempts from this address"
            raise RequestRefused(Code.OVERLOADED, slow, headers=retry_after(seconds))
        raise RequestRefused(EdgeCode.UNAUTHENTICATED, detail, headers=_CHALLENGE)

    async def _identify(self, token: str, address: str) -> Identity | None:
        if token.startswith(PREFIX):
            identity = self._keys.identify(token)
            good = identity is not None and self.ended(identity) is None
            if not good and self._refusals.address_blocked(address):
                return None  # Who guesses does not make us ask the log.
            return await self._sure(identity) or self._keys.identify(token)
        if agent_tokens.token_type(token) == agent_tokens.TYPE:
            identity = self._agents.identify(token)
            return None if identity is None else await self._sure(identity) or identity
        if self._oidc is None:
            return None
        identity = await self._oidc.identify(token)
        return None if identity is None else await self._sure(identity) or identity

    async def _sure(self, identity: Identity | None) -> Identity | None:
        """The identity, if the slice knows it to be good; None after a wait until the slice knows all that was there.

        A credential may be used the moment it was made, before this process has read of it.
        """
        certain = self._access.settled_once or (identity is not None and identity.operator)
        if identity is not None and certain and self.ended(identity) is None:
            return identity
        await self._access.settle()
        return None


def _keep(known: dict[bytes, Identity], at_most: int, name: bytes, identity: Identity) -> None:
    if len(known) >= at_most:
        del known[next(iter(known))]
    known[name] = identity


def _bearer(authorization: bytes) -> str:
    found = _BEARER.match(authorization)
    return found[1].decode("ascii") if found is not None else ""


def _digest(token: str) -> bytes:
    """Make the name a token is remembered by: as long for every token, and no secret."""
    return hashlib.sha256(token.encode()).digest()
