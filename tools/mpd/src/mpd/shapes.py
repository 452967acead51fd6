"""The shape of each secret of an installation: one that is empty, cut off or another's ends a start by its name."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import nkeys
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from mpschema.keys import ROOT_KEY_PREFIX
from mpservice.settings import SECRET_BYTES_MIN

_PASSWORD_LETTERS_MIN = 8
_HASH_LETTERS = 64
_USER_LETTERS = 56


class BadFile(Exception):
    """A file of ours does not hold what it is for: which, why, and what to do."""


class BadSecret(BadFile):
    """A file with a secret holds none that could be one."""

    def __init__(self, path: Path, flaw: str) -> None:
        super().__init__(f"the secret {path} {flaw}: {remedy(path)}")


def json_object(path: Path, mend: str) -> dict[str, Any]:
    """The JSON object in a file, an empty one where there is none. Raises BadFile with what mends it."""
    if not path.exists():
        return {}
    try:
        found = json.loads(path.read_bytes())
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise BadFile(f"{path} is empty, or cut off: {mend}")
    return found


def flaw_of(path: Path) -> str:
    """Return why the file's content cannot be the secret of its name; empty where it can, or the name says nothing."""
    check = next((check for pattern, check in _SHAPES.items() if fnmatch(path.name, pattern)), None)
    if check is None:
        return ""
    try:
        text = path.read_bytes().decode()
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    except UnicodeDecodeError:
        return "is not text"
    return check(text) if text.strip() else "is empty"


def flaws_in(folder: Path) -> Iterator[tuple[Path, str]]:
    """The files of a folder that hold no secret, and why not."""
    for path in sorted(folder.iterdir()):
        if path.is_file() and (flaw := flaw_of(path)):
            yield path, flaw


def remedy(path: Path) -> str:
    """The remedy for a secret that is none."""
    back = f"delete it, and put it back from where it is kept (`mpctl backup restore-keys FILE {path.parent}`)"
    lost = next((lost for pattern, lost in _LOST.items() if fnmatch(path.name, pattern)), "")
    return f"{back}; else the next start makes another{lost}"


def signing_key(data: bytes) -> Ed25519PrivateKey:
    """The key in PEM, or as its 32-byte seed in hex. Raises ValueError."""
    if b"-----BEGIN" not in data:
        return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(data.decode("ascii")))
    key = serialization.load_pem_private_key(data, password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError("another kind of key")
    return key


def _long(text: str) -> str:
    return "" if len(text.strip()) >= SECRET_BYTES_MIN else f"is too short: {SECRET_BYTES_MIN} letters at least"


def _one_word(text: str, letters_min: int) -> str:
    if len(text.split()) != 1 or text != text.strip():
        return "holds a space or the end of a line, which no such secret does"
    return "" if len(text) >= letters_min else f"is too short: {letters_min} letters at least"


def _password(text: str) -> str:
    return _one_word(text, _PASSWORD_LETTERS_MIN)


def _token(text: str) -> str:
    return _one_word(text, SECRET_BYTES_MIN)


def _root_key(text: str) -> str:
    return _token(text) if text.startswith(ROOT_KEY_PREFIX) else f"does not begin with {ROOT_KEY_PREFIX}"


def _hash(text: str) -> str:
    word = text.strip()
    return "" if len(word) == _HASH_LETTERS and not word.strip("0123456789abcdef") else "is no hash: 64 digits in hex"


def _signing_key(text: str) -> str:
    try:
        signing_key(text.encode())
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return "is neither an Ed25519 key in PEM nor 32 bytes in hex"
    return ""


def _public_key(text: str) -> str:
    try:
        key = serialization.load_pem_public_key(text.encode())
    except (ValueError, UnsupportedAlgorithm):
        key = None
    return "" if isinstance(key, Ed25519PublicKey) else "is no public Ed25519 key in PEM"


def _seed(text: str) -> str:
    try:
        good = nkeys.from_seed(bytearray(text.encode())).public_key.startswith(b"U")
    except (nkeys.NkeysError, ValueError):  # Of base 32, too.
        good = False
    return "" if good else "is no seed of a user of NATS (SU...)"


def _user(text: str) -> str:
    good = len(text.strip()) == _USER_LETTERS and text.startswith("U")
    return "" if good else "is no public key of a user of NATS (U...)"


_SHAPES: dict[str, Callable[[str], str]] = {
    "pepper": _long,
    "token_key": _long,
    "webhook_key": _long,
    "root_key": _root_key,
    "root_key_hash": _hash,
    "signing_key": _signing_key,
    "signing_key.pub": _public_key,
    "nats_*.seed": _seed,
    "nats_restore.pub": _user,
    "nats_routes": _token,
    "redis_users.acl": lambda _: "",
    "redis_*": _token,
    "postgres_*": _password,
}
"""The check of each file's text, by its name; the first pattern that fits."""

_LOST = {
    "pepper": ", under which no API key made before is known any more",
    "token_key": ", under which no token given out before counts any more",
    "webhook_key": ", from which webhooks get other secrets: their receivers must be told",
    "root_key_hash": " from the pepper and the root key",
    "signing_key": ": then delete signing_key.pub, too, and tell the new one to whoever proves checkpoints",
    "signing_key.pub": " from signing_key",
    "postgres_mp_owner": ", which PostgreSQL must be told (ALTER ROLE mp_owner PASSWORD)",
}
