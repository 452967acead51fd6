"""A home of its own for every test of the command line, so that nobody's real context is read or written."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home folder; the working folder is another empty one."""
    found = tmp_path / "home"
    found.mkdir()
    here = tmp_path / "here"
    here.mkdir()
    for name in ("MPCTL_URL", "MPCTL_TOKEN", "MPCTL_WORKSPACE", "MP_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(found))
    monkeypatch.chdir(here)
    return found
