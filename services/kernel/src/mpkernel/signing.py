"""Signed checkpoints: a kernel that holds a key puts its name under the state and the chain it wrote.

A valid beginning of a chain is itself a valid chain, and whoever can rewrite all of it can make a new one. A signature
that others keep makes both visible.
"""

import base64
from pathlib import Path

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from mpbus.errors import Unusable
from mpschema.system import LogCheckpointed
from mpstore.snapshots.signatures import checkpoint_message, key_id


class UnusableKey(Unusable):
    """The file does not hold an Ed25519 key; the message never quotes it."""


def read_signing_key(path: Path) -> Ed25519PrivateKey:
    """The key in a file: PEM, or its 32-byte seed in hex. Raises `UnusableKey`."""
    try:
        data = path.read_bytes()
        if b"-----BEGIN" not in data:
            seed = bytes.fromhex(data.decode("ascii"))
            return Ed25519PrivateKey.from_private_bytes(seed)
        key = serialization.load_pem_private_key(data, password=None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        detail = error.strerror if isinstance(error, OSError) else "neither PEM nor 32 bytes in hex"
        raise UnusableKey(f"{path}: {detail}") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise UnusableKey(f"{path}: holds a key of another kind than Ed25519")
    return key


class CheckpointSigner:
    """Signs the checkpoints of one shard."""

    def __init__(self, key: Ed25519PrivateKey, shard: str) -> None:
        self._key = key
        self._key_id = key_id(key.public_key())
        self._shard = shard

    def signed(self, checkpoint: LogCheckpointed) -> LogCheckpointed:
        """The same checkpoint, signed."""
        message = checkpoint_message(self._shard, checkpoint.at_seq, checkpoint.head, checkpoint.state_root)
        signature = base64.b64encode(self._key.sign(message)).decode()
        return msgspec.structs.replace(checkpoint, key_id=self._key_id, signature=signature)
