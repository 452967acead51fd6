"""The words under the signature of a checkpoint, and the names of keys."""

import hashlib

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

_KEY_ID_DIGITS = 16


def checkpoint_message(shard: str, at_seq: int, head: str, state_root: str) -> bytes:
    """The bytes under the signature of a checkpoint."""
    return f"moduprompt/checkpoint/v1\n{shard}\n{at_seq}\n{head}\n{state_root}".encode()


def raw_public_key(key: Ed25519PublicKey) -> bytes:
    """The 32 bytes of a public key."""
    return key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)


def key_id(key: Ed25519PublicKey) -> str:
    """Return the name of a key in checkpoints: the first 16 hex digits of the SHA-256 of the public key."""
    return hashlib.sha256(raw_public_key(key)).hexdigest()[:_KEY_ID_DIGITS]
