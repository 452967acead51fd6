"""API keys, `mpk_<key id>_<secret>`. The log holds a keyed hash of the whole key, which also serves to find it."""

import hashlib
import hmac

PREFIX = "mpk_"
ROOT_KEY_ID = "root"
"""The id of the installation's own key, which stands in no log."""
ROOT_KEY_PREFIX = f"{PREFIX}{ROOT_KEY_ID}_"


def key_hash(pepper: bytes, key: str) -> str:
    """The hash that is kept of a key: hex HMAC-SHA256 of the whole key under the installation's pepper."""
    return hmac.digest(pepper, key.encode(), hashlib.sha256).hex()
