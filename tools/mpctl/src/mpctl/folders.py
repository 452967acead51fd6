"""Files that `workspace init` puts into a folder: the workspace's name, a first blueprint, no secret."""

from __future__ import annotations

import re
from pathlib import Path

from mpcli.context import MARKER, Misconfigured
from mpschema.ids import is_id
from mpschema.system import SYSTEM_WORKSPACE

_MARKER_TEXT = """\
# A ModuPrompt workspace: `mpctl` looks for this file in the folder it is run in and above.
# No secret belongs here; keys are in the environment or in your home folder.
[workspace]
id = "{id}"
"""
_REVIEWER = """\
# A blueprint says what a session runs. Sessions record its name, version and digest.
name: reviewer
version: 1.0.0
description: Reads a change and says what is wrong with it.
model:
  profile: default
instructions:
  - name: role
    text: |
      You review one change at a time. Say what you read, what you ran, and what you found.
      A finding names the file and the line, and why it matters.
  - name: conduct
    text: |
      Claim a task before you work on it. Submit evidence another reviewer could check.
tools: []
limits:
  max_depth: 2
  max_children: 4
labels: [review]
"""
_IGNORED = """\
# Whatever holds a secret stays out of the repository.
.env
*.key
client.json
"""
FILES = {MARKER: _MARKER_TEXT, "agents/blueprints/reviewer.yaml": _REVIEWER, ".gitignore": _IGNORED}
"""The files of a new workspace folder."""


def workspace_id(folder: Path) -> str:
    """A workspace id from a folder's name. Raises `Misconfigured` for a name that has no id in it."""
    found = re.sub(r"[^a-z0-9_-]+", "-", folder.resolve().name.lower()).strip("-_")[:128]
    if not is_id(found) or found == SYSTEM_WORKSPACE:
        raise Misconfigured(f"{folder.resolve().name!r} makes no workspace id: give one with --id")
    return found


def write_files(folder: Path, workspace: str) -> list[Path]:
    """Put the files into the folder that are not there yet; returns those."""
    written = []
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with path.open("x") as file:
                file.write(text.replace("{id}", workspace))
        except FileExistsError:
            continue
        written.append(path)
    return written
