"""API keys: `mpk_<key id>_<secret>`. Stored is a keyed hash, looked up by the key id, compared in constant time."""

import datetime as dt
import hashlib
import hmac
import secrets
import string

import asyncpg
from mpschema.ids import is_id
from mpschema.subjects import SYSTEM_PREFIX

from mpgateway.auth.identity import ROOT, Identity
from mpgateway.database import CaughtUp, ReadModels, scoped

PREFIX = "mpk_"
ROOT_KEY_ID = "root"
SECRET_LETTERS = 43
_BASE62 = string.ascii_letters + string.digits
_LOOK_UP = scoped(
    "mp.key_id",
    "SELECT workspace_id, principal_id, key_hash, expires_at, revoked_at FROM mp.keys WHERE id = scope.value LIMIT 16",
)


class ApiKeys:
    """Knows the root key by its hash and all others from the read models."""

    def __init__(
        self,
        pepper: bytes,
        root_key_hash: str,
        operators: frozenset[str],
        read_models: ReadModels,
        caught_up: CaughtUp,
    ) -> None:
        self._pepper = pepper
        self._root_key_hash = root_key_hash.encode()
        self._operators = operators
        self._read_models = read_models
        self._caught_up = caught_up

    def hash(self, key: str) -> str:
        """What is stored of a key: hex HMAC-SHA256 of the whole key under the pepper."""
        return hmac.digest(self._pepper, key.encode(), hashlib.sha256).hex()

    def new_secret(self, seed: bytes | None = None) -> str:
        """The secret part of a new key: random, or for a seed always the same one, so that a retry answers the same."""
        if seed is None:
            return "".join(secrets.choice(_BASE62) for _ in range(SECRET_LETTERS))
        number = int.from_bytes(hmac.digest(self._pepper, b"api key\n" + seed, hashlib.sha512))
        letters = []
        for _ in range(SECRET_LETTERS):
            number, letter = divmod(number, len(_BASE62))
            letters.append(_BASE62[letter])
        return "".join(letters)

    async def identify(self, key: str) -> Identity | None:
        """Whose key it is; None for one that is unknown, expired or revoked. Raises `ReadModelsUnavailable`."""
        key_id, _, secret = key.removeprefix(PREFIX).rpartition("_")
        if not secret or not is_id(key_id):
            return None
        given = self.hash(key).encode()
        if key_id == ROOT_KEY_ID:
            return Identity(principal=ROOT, operator=True) if hmac.compare_digest(given, self._root_key_hash) else None
        row = await self._find(key_id, given)
        if row is None:
            # A key may be used the moment it was issued, before the read models know it.
            await self._caught_up()
            row = await self._find(key_id, given)
        return self._identity(row) if row is not None else None

    async def _find(self, key_id: str, given: bytes) -> asyncpg.Record | None:
        # Key ids are unique in a workspace only: the hash tells which of several is meant.
        for row in await self._read_models.fetch(_LOOK_UP, key_id):
            if hmac.compare_digest(given, row["key_hash"].encode()):
                return row
        return None

    def _identity(self, row: asyncpg.Record) -> Identity | None:
        # A workspace's owner issues its keys. Such a key must not speak for an operator, nor in another workspace.
        if row["revoked_at"] is not None or row["principal_id"] in self._operators:
            return None
        if row["principal_id"].startswith(SYSTEM_PREFIX):
            return None
        expires_at: dt.datetime | None = row["expires_at"]
        return Identity(
            principal=row["principal_id"],
            workspace_id=row["workspace_id"],
            expires_at=expires_at.timestamp() if expires_at is not None else None,
        )
