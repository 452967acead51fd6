"""A workspace folder is called like its folder, holds no secret, and keeps what is there."""

from __future__ import annotations

from pathlib import Path

import pytest
from mpcli.context import Misconfigured
from mpctl.folders import FILES, workspace_id, write_files


@pytest.mark.parametrize(
    ("name", "expected"),
    [("my-workspace", "my-workspace"), ("My Workspace!", "my-workspace"), ("Ünïcode", "n-code"), ("a_b", "a_b")],
)
def test_a_workspace_is_called_like_its_folder(tmp_path: Path, name: str, expected: str) -> None:
    assert workspace_id(tmp_path / name) == expected


@pytest.mark.parametrize("name", ["---", "日本", "system"])
def test_a_folder_whose_name_makes_no_id_needs_one(tmp_path: Path, name: str) -> None:
    with pytest.raises(Misconfigured, match="--id"):
        workspace_id(tmp_path / name)


def test_a_workspace_folder_holds_no_secret_and_keeps_what_is_there(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("mine\n")
    written = write_files(tmp_path, "ours")
    assert {str(path.relative_to(tmp_path)) for path in written} == {*FILES} - {".gitignore"}
    assert (tmp_path / ".gitignore").read_text() == "mine\n"
    assert write_files(tmp_path, "ours") == []
    assert not any("mpk_" in path.read_text() for path in written)
