"""Agent tokens: short-lived JWTs of our own, each bound to one session in one workspace."""

import base64
import json

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from mpgateway.auth.identity import Identity, UnfitClaim, check_times

AUDIENCE = "moduprompt"
TYPE = "mp-agent+jwt"
_ALGORITHMS = ["HS256"]


class AgentTokens:
    """Signs and reads them with one symmetric key that never leaves the gateways."""

    def __init__(self, token_key: bytes) -> None:
        self._key = OctKey.import_key(token_key)
        self._claims = jwt.JWTClaimsRegistry(
            aud={"essential": True, "value": AUDIENCE},
            exp={"essential": True},
            sub={"essential": True},
            session={"essential": True},
            workspace={"essential": True},
            jti={"essential": True},
        )

    def sign(self, *, workspace_id: str, session_id: str, token_id: str, expires_at_ms: int) -> str:
        """A token that speaks for the session until it expires."""
        claims = {
            "aud": AUDIENCE,
            "sub": f"agent:{session_id}",
            "workspace": workspace_id,
            "session": session_id,
            "jti": token_id,
            "exp": expires_at_ms // 1000,
        }
        return jwt.encode({"alg": "HS256", "typ": TYPE}, claims, self._key, algorithms=_ALGORITHMS)

    def identify(self, token: str) -> Identity | None:
        """Identify a token's owner; None for one that is forged, expired or meant for others. Raises `UnfitClaim`."""
        try:
            claims = jwt.decode(token, self._key, algorithms=_ALGORITHMS).claims
            check_times(claims)
            self._claims.validate(claims)
        except UnfitClaim:
            raise
        except (JoseError, ValueError):
            return None
        workspace, session = str(claims["workspace"]), str(claims["session"])
        return Identity(
            principal=f"agent:{session}",
            workspace_id=workspace,
            session_id=session,
            expires_at=float(claims["exp"]),
            token_id=str(claims["jti"]),
        )


def token_type(token: str) -> str:
    """The `typ` a JWT claims to have, before anything is verified; empty when it cannot be read."""
    header = token.partition(".")[0]
    try:
        found = json.loads(_decoded(header))
    except (ValueError, RecursionError):
        return ""
    return str(found.get("typ", "")) if isinstance(found, dict) else ""


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
