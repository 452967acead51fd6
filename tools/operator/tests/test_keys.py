"""A file of keys is its owner's alone, is never written over, and comes back as it was; signatures are judged."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from mpoperator.backup.keys import restore_keys, save_keys
from mpoperator.copies.checkpoints import INVALID, UNCHECKED, UNKNOWN_KEY, UNSIGNED, VALID, Checkpoint, PublicKeys
from mpoperator.errors import Disproved, NotConfigured, ToolRefused
from mpstore.snapshots.signatures import checkpoint_message, key_id, raw_public_key
from msgspec.structs import replace

SECRETS = {"pepper": "hush", "nats_kernel.seed": "SU..."}


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    """A folder of secrets."""
    folder = tmp_path / "secrets"
    folder.mkdir()
    for name, value in SECRETS.items():
        (folder / name).write_text(value)
    (folder / "below").mkdir()
    return folder


@pytest.fixture
def kept(secrets: Path, tmp_path: Path) -> Path:
    """The file that keeps them."""
    return save_keys(secrets, tmp_path / "keys.json", tmp_path / "backup")


def test_the_file_holds_every_secret_for_its_owner_alone(kept: Path) -> None:
    assert json.loads(kept.read_text())["files"] == SECRETS
    assert kept.stat().st_mode & 0o777 == 0o600


def test_keys_come_back_as_they_were(kept: Path, tmp_path: Path) -> None:
    found = restore_keys(kept, tmp_path / "new" / "secrets")
    assert (sorted(found.written), found.kept) == (sorted(SECRETS), [])
    back = {path.name: path.read_text() for path in (tmp_path / "new" / "secrets").iterdir()}
    assert back == SECRETS
    assert "2 keys written" in found.told()


def test_restoring_twice_writes_nothing(kept: Path, secrets: Path) -> None:
    found = restore_keys(kept, secrets)
    assert (found.written, sorted(found.kept)) == ([], sorted(SECRETS))
    assert found.told().endswith("2 were there already")


def test_another_key_in_the_same_place_is_not_touched(kept: Path, secrets: Path) -> None:
    (secrets / "pepper").write_text("of somebody else")
    with pytest.raises(ToolRefused, match="holds another pepper"):
        restore_keys(kept, secrets)
    assert (secrets / "pepper").read_text() == "of somebody else"


def test_a_file_of_keys_is_never_written_over(kept: Path, secrets: Path, tmp_path: Path) -> None:
    before = kept.read_bytes()
    with pytest.raises(ToolRefused, match="never written over"):
        save_keys(secrets, kept, tmp_path / "backup")
    assert kept.read_bytes() == before


def test_keys_are_not_kept_beside_the_log_that_they_open(secrets: Path, tmp_path: Path) -> None:
    with pytest.raises(ToolRefused, match="protect nothing"):
        save_keys(secrets, tmp_path / "backup" / "keys.json", tmp_path / "backup")


@pytest.mark.parametrize("folder", [None, Path("nowhere")])
def test_secrets_that_are_not_here_are_asked_for(folder: Path | None, tmp_path: Path) -> None:
    with pytest.raises(NotConfigured, match="MP_SECRETS_DIR"):
        save_keys(folder, tmp_path / "keys.json", tmp_path / "backup")


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("{", Disproved, "holds no keys"),
        ('{"files": {}, "more": 1}', Disproved, "holds no keys"),
        ('{"format": "other/v1", "files": {"a": "b"}}', ToolRefused, "is a other/v1"),
        ('{"files": {"../pepper": "x"}}', ToolRefused, "not taken"),
    ],
)
def test_what_is_no_file_of_keys_is_not_taken(text: str, error: type[Exception], said: str, tmp_path: Path) -> None:
    source = tmp_path / "keys.json"
    source.write_text(text)
    with pytest.raises(error, match=said):
        restore_keys(source, tmp_path / "secrets")
    assert not (tmp_path / "secrets").exists()


KEY, STRANGER = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()


def _signed(key: Ed25519PrivateKey, shard: str = "0") -> Checkpoint:
    bare = Checkpoint(seq=12, stream_seq=4, at_seq=10, head="h" * 64, state_root="r" * 64)
    message = checkpoint_message(shard, bare.at_seq, bare.head, bare.state_root)
    signature = base64.b64encode(key.sign(message)).decode()
    return replace(bare, key_id=key_id(key.public_key()), signature=signature)


@pytest.mark.parametrize(
    ("checkpoint", "verdict"),
    [
        (_signed(KEY), VALID),
        (_signed(STRANGER), UNKNOWN_KEY),
        (_signed(KEY, shard="1"), INVALID),
        (replace(_signed(KEY), state_root="x" * 64), INVALID),
        (replace(_signed(KEY), at_seq=11), INVALID),
        (replace(_signed(KEY), signature="no base64!"), INVALID),
        (replace(_signed(KEY), signature=None), UNSIGNED),
        (replace(_signed(KEY), key_id=None), UNSIGNED),
    ],
)
def test_a_signature_is_worth_what_it_signs(checkpoint: Checkpoint, verdict: str) -> None:
    assert PublicKeys([KEY.public_key()]).judge("0", checkpoint) == verdict


def test_without_a_key_nothing_is_checked() -> None:
    assert PublicKeys().judge("0", _signed(KEY)) == UNCHECKED


def test_public_keys_are_read_in_hex_and_what_is_none_is_said(tmp_path: Path) -> None:
    (tmp_path / "key.pub").write_text(raw_public_key(KEY.public_key()).hex())
    assert PublicKeys.read([tmp_path / "key.pub"]).judge("0", _signed(KEY)) == VALID
    (tmp_path / "bad.pub").write_text("beef")
    for name in ("bad.pub", "missing.pub"):
        with pytest.raises(NotConfigured, match=name):
            PublicKeys.read([tmp_path / name])
