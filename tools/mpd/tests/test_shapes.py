"""A secret that is empty, cut off or another's ends a start before anything runs, by its name and with what to do."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from mpd.cli import main
from mpd.shapes import flaws_in
from mpd.stack import Stack

NO_SECRETS = {"nats_users.conf", "redis_users.acl"}
"""Made anew from the others at each start."""


def _mpd(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def _secrets(folder: Path) -> list[Path]:
    return sorted(path for path in Stack(folder).keys.folder.iterdir() if path.name not in NO_SECRETS)


def test_the_secrets_that_are_made_have_the_shape_they_are_asked_for(tmp_path: Path) -> None:
    assert len(_secrets(tmp_path)) > 20
    assert list(flaws_in(tmp_path / "secrets")) == []


def test_an_empty_secret_ends_the_start_by_its_name_whichever_it_is(tmp_path: Path) -> None:
    for path in _secrets(tmp_path):
        kept = path.read_text()
        if path.name == "nats_restore.pub":
            continue  # Written anew from its seed, which is there.
        path.write_text("")
        for command in (("start", "--data", str(tmp_path)), ("keys", "--dir", str(path.parent))):
            result = _mpd(*command)
            assert result.exit_code == 1, path
            said = f"mpd: the secret {path} is empty: delete it, and put it back from where it is kept"
            assert result.output.startswith(said), result.output
            assert "else the next start makes another" in result.output
            assert len(result.output.splitlines()) == 1
        path.write_text(kept)


@pytest.mark.parametrize(
    ("name", "held", "flaw"),
    [
        ("pepper", "short", "is too short: 32 letters at least"),
        ("signing_key", "00" * 31, "is neither an Ed25519 key in PEM nor 32 bytes in hex"),
        ("signing_key.pub", "-----BEGIN PUBLIC KEY-----", "is no public Ed25519 key in PEM"),
        ("root_key", "x" * 57, "does not begin with mpk_root_"),
        ("nats_gateway.seed", "SUAB", "is no seed of a user of NATS"),
        ("redis_kernel", "x" * 64 + "\n", "holds a space or the end of a line"),
        ("postgres_mp_owner", "\x00\xff" * 8, ""),
    ],
)
def test_a_secret_of_another_shape_ends_the_start_with_its_flaw(
    tmp_path: Path, name: str, held: str, flaw: str
) -> None:
    path = Stack(tmp_path).keys.folder / name
    path.write_bytes(held.encode("latin-1"))
    result = _mpd("start", "--data", str(tmp_path))
    assert result.exit_code == 1
    assert f"the secret {path} {flaw or 'is not text'}" in result.output


def test_a_public_key_that_is_kept_without_its_seed_is_looked_at_too(tmp_path: Path) -> None:
    folder = Stack(tmp_path).keys.folder
    (folder / "nats_restore.seed").rename(tmp_path / "offline")
    assert _mpd("keys", "--dir", str(folder)).exit_code == 0
    (folder / "nats_restore.pub").write_text("")
    result = _mpd("keys", "--dir", str(folder))
    assert result.exit_code == 1
    assert "nats_restore.pub is empty" in result.output


def test_a_pepper_written_by_hand_with_the_end_of_its_line_works_as_before(tmp_path: Path) -> None:
    pepper = Stack(tmp_path).keys.folder / "pepper"
    pepper.write_text("p" * 32 + "\n")
    assert list(flaws_in(pepper.parent)) == []


@pytest.mark.parametrize("name", ["ports.json", "postgres/passwords.json"])
@pytest.mark.parametrize("held", ["", '{"nats": 2', "[]"])
def test_a_file_that_was_cut_off_is_named_with_what_to_do(tmp_path: Path, name: str, held: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(held)
    result = _mpd("start", "--data", str(tmp_path))
    assert result.exit_code == 1
    assert result.output.splitlines()[-1].startswith(f"mpd: {path} is empty, or cut off: ")
