"""A kernel with a key signs its checkpoints; one with an unusable key does not start."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from mpbus.reader import LogPosition
from mpcore.engine.sealed import Sealed
from mpcore.engine.shard import Shard
from mpcore.engine.snapshot import state_root
from mpkernel.sealing import Sealing
from mpkernel.signing import CheckpointSigner, UnusableKey, read_signing_key
from mpschema.envelope import CommitHeader
from mpschema.system import LogCheckpointed
from mpstore.snapshots.memory import MemorySnapshots
from mpstore.snapshots.signatures import checkpoint_message, key_id, raw_public_key

SEED = bytes(range(32))
KEY = Ed25519PrivateKey.from_private_bytes(SEED)
CHECKPOINT = LogCheckpointed(at_seq=7, head="a" * 64, state_root="b" * 64)


def _pem(key: Ed25519PrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(encoding, form, serialization.NoEncryption())


@pytest.mark.parametrize("content", [SEED.hex().encode(), SEED.hex().encode() + b"\n", _pem(KEY)])
def test_a_key_is_read_as_pem_or_as_a_seed_in_hex(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "key").write_bytes(content)
    assert raw_public_key(read_signing_key(tmp_path / "key").public_key()) == raw_public_key(KEY.public_key())


NO_KEYS = [b"", b"abcd", b"zz" * 32, b"-----BEGIN PRIVATE KEY-----\n", _pem(ec.generate_private_key(ec.SECP256R1()))]


@pytest.mark.parametrize("content", NO_KEYS)
def test_anything_else_is_refused_and_never_quoted(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "key").write_bytes(content)
    with pytest.raises(UnusableKey) as refused:
        read_signing_key(tmp_path / "key")
    assert content.decode() not in str(refused.value) or not content
    with pytest.raises(UnusableKey, match="No such file"):
        read_signing_key(tmp_path / "missing")


def test_the_signature_is_over_shard_position_head_and_root() -> None:
    signed = CheckpointSigner(KEY, "0").signed(CHECKPOINT)
    assert (
        signed.key_id == key_id(KEY.public_key()) == hashlib.sha256(raw_public_key(KEY.public_key())).hexdigest()[:16]
    )
    assert signed.signature is not None
    message = b"moduprompt/checkpoint/v1\n0\n7\n" + b"a" * 64 + b"\n" + b"b" * 64
    assert checkpoint_message("0", 7, "a" * 64, "b" * 64) == message
    KEY.public_key().verify(base64.b64decode(signed.signature), message)  # Raises when it does not.


@pytest.mark.parametrize("signer", [None, CheckpointSigner(KEY, "0")])
async def test_the_checkpoint_of_a_snapshot_is_signed_where_there_is_a_key(signer: CheckpointSigner | None) -> None:
    wake = asyncio.Event()
    sealing = Sealing(MemorySnapshots(), "digest", 1, wake, signer)
    header = CommitHeader(epoch=1, first_seq=1, count=1, time_ms=1, previous_hash="0" * 64, command_position=0)
    sealing.look(Sealed(header, b"", {}), Shard())
    sealing.stored(LogPosition(1, 1, "c" * 64))
    await asyncio.wait_for(wake.wait(), 30)
    checkpoint = sealing.take_checkpoint()
    assert checkpoint is not None
    assert (checkpoint.at_seq, checkpoint.head, checkpoint.state_root) == (1, "c" * 64, state_root(Shard()))
    assert (checkpoint.signature is not None) == (signer is not None)


def test_a_kernel_with_an_unusable_key_says_so_and_does_not_start(tmp_path: Path, nats_url: str) -> None:
    (tmp_path / "key").write_text("not a key")
    environment = os.environ | {"MP_NATS_URL": nats_url, "MP_SIGNING_KEY_FILE": str(tmp_path / "key")}
    done = subprocess.run(
        [sys.executable, "-m", "mpkernel"], env=environment, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 2
    assert "neither PEM nor 32 bytes in hex" in done.stderr
    assert "not a key" not in done.stderr
