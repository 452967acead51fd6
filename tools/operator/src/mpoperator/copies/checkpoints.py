"""Checkpoints in the log: what they claim about chain and state, and who signed that."""

from __future__ import annotations

import base64
import binascii
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from mpbus.reader import Commit
from mpschema import codec
from mpschema.system import LogCheckpointed
from mpstore.snapshots.signatures import checkpoint_message, key_id

from mpoperator.errors import Disproved, Finding, NotConfigured

_NAME = b"LogCheckpointed"
_HASH_BYTES = 32
UNSIGNED, UNCHECKED, VALID, INVALID, UNKNOWN_KEY = "unsigned", "unchecked", "valid", "invalid", "unknown key"


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A checkpoint as it stands in the log: `seq` and `stream_seq` say where, `at_seq` what it is about."""

    seq: int
    stream_seq: int
    at_seq: int
    head: str
    state_root: str
    key_id: str | None = None
    signature: str | None = None


class PublicKeys:
    """The keys whose signatures count, by their id."""

    def __init__(self, keys: Iterable[Ed25519PublicKey] = ()) -> None:
        self.by_id = {key_id(key): key for key in keys}

    @classmethod
    def read(cls, paths: Iterable[Path]) -> PublicKeys:
        """From files: PEM, or the 32 bytes in hex. Raises `NotConfigured`."""
        return cls(_read_key(path) for path in paths)

    def judge(self, shard: str, checkpoint: Checkpoint) -> str:
        """Judge a checkpoint's signature."""
        if checkpoint.signature is None or checkpoint.key_id is None:
            return UNSIGNED
        if not self.by_id:
            return UNCHECKED
        key = self.by_id.get(checkpoint.key_id)
        if key is None:
            return UNKNOWN_KEY
        message = checkpoint_message(shard, checkpoint.at_seq, checkpoint.head, checkpoint.state_root)
        try:
            key.verify(base64.b64decode(checkpoint.signature, validate=True), message)
        except (InvalidSignature, binascii.Error):
            return INVALID
        return VALID


def checkpoints_in(commit: Commit) -> Iterator[Checkpoint]:
    """The checkpoints a commit holds. Looks at the bytes first: almost no commit holds one."""
    if _NAME not in commit.body:
        return
    for line in commit.lines:
        if _NAME not in line:
            continue
        record = codec.decode_record(line)
        event = record.data
        if isinstance(event, LogCheckpointed):
            yield Checkpoint(
                seq=record.seq,
                stream_seq=commit.stream_seq,
                at_seq=event.at_seq,
                head=event.head,
                state_root=event.state_root,
                key_id=event.key_id,
                signature=event.signature,
            )


class Heads:
    """The chain's hash after every commit seen: 40 bytes each."""

    def __init__(self) -> None:
        self._ends = array("Q")
        self._hashes = bytearray()

    def add(self, commit: Commit) -> None:
        """One more commit, in order."""
        self._ends.append(commit.position.seq)
        self._hashes += bytes.fromhex(commit.hash)

    def at(self, seq: int) -> str | None:
        """The hash of the commit that ends with event `seq`; None when none of those seen does."""
        index = bisect_left(self._ends, seq)
        if index == len(self._ends) or self._ends[index] != seq:
            return None
        return self._hashes[index * _HASH_BYTES : (index + 1) * _HASH_BYTES].hex()


class Collector:
    """Gathers the checkpoints of a verified log, and checks that each names the chain's hash where it says."""

    def __init__(self, after_seq: int = 0) -> None:
        self.found: list[Checkpoint] = []
        self._heads = Heads()
        self._after_seq = after_seq

    def take(self, commits: Iterable[Commit]) -> None:
        """More of the log. Raises `Disproved` for a checkpoint that names another head."""
        for commit in commits:
            for checkpoint in checkpoints_in(commit):
                self._check(checkpoint)
                self.found.append(checkpoint)
            self._heads.add(commit)

    def _check(self, checkpoint: Checkpoint) -> None:
        if checkpoint.at_seq <= self._after_seq:
            return  # It is about what was not read.
        head = self._heads.at(checkpoint.at_seq)
        if head != checkpoint.head:
            detail = (
                f"the checkpoint in event {checkpoint.seq} says the chain's hash at event {checkpoint.at_seq} was "
                f"{checkpoint.head}; it is {head or 'between two commits'}"
            )
            raise Disproved(
                Finding(where="checkpoint", detail=detail, stream_seq=checkpoint.stream_seq, seq=checkpoint.seq)
            )


def _read_key(path: Path) -> Ed25519PublicKey:
    try:
        data = path.read_bytes()
        if b"-----BEGIN" not in data:
            return Ed25519PublicKey.from_public_bytes(bytes.fromhex(data.decode("ascii")))
        key = serialization.load_pem_public_key(data)
    except (OSError, ValueError) as error:
        detail = error.strerror if isinstance(error, OSError) else "neither a public key as PEM nor 32 bytes in hex"
        raise NotConfigured(f"{path}: {detail}") from error
    if not isinstance(key, Ed25519PublicKey):
        raise NotConfigured(f"{path}: holds a key of another kind than Ed25519")
    return key
