"""The owners of API keys, found by the hash of the whole key.

The key's id is a name, and no more: whoever gave the same one elsewhere, or earlier, is not met.
"""

import hashlib
import hmac
import secrets
import string

from mpschema.ids import is_id
from mpschema.keys import PREFIX, ROOT_KEY_ID, key_hash
from mpschema.subjects import SYSTEM_PREFIX

from mpgateway.auth.access import Access
from mpgateway.auth.identity import ROOT, Identity

SECRET_LETTERS = 43
_BASE62 = string.ascii_letters + string.digits


class ApiKeys:
    """Knows the root key by its hash and all others from the access slice."""

    def __init__(self, pepper: bytes, root_key_hash: str, access: Access) -> None:
        self._pepper = pepper
        self._root_key_hash = root_key_hash.encode()
        self._access = access

    def hash(self, key: str) -> str:
        """The hash that is recorded of a key."""
        return key_hash(self._pepper, key)

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

    def identify(self, key: str) -> Identity | None:
        """Identify a key's owner; None for one that is not known. `Access.ended` says whether it is still good."""
        key_id, _, secret = key.removeprefix(PREFIX).rpartition("_")
        if not secret or not is_id(key_id):
            return None
        given = self.hash(key)
        if key_id == ROOT_KEY_ID:
            is_root = hmac.compare_digest(given.encode(), self._root_key_hash)
            return Identity(principal=ROOT, operator=True) if is_root else None
        return self._held(bytes.fromhex(given))

    def _held(self, key_hash: bytes) -> Identity | None:
        # Who can find the hash of a key that it does not have can make the key, too: the pepper is secret.
        held = self._access.slice.keys.get(key_hash)
        # A workspace's owner issues its keys. Such a key must not speak for an operator, nor in another workspace.
        if held is None or self._access.is_operator(held.principal) or held.principal.startswith(SYSTEM_PREFIX):
            return None
        return Identity(
            principal=held.principal,
            workspace_id=held.workspace_id,
            expires_at=held.expires_at_ms / 1_000 if held.expires_at_ms else None,
            key_hash=key_hash,
        )
