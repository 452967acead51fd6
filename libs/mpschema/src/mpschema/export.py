"""Writes every document that derives from the registry: JSON Schemas, OpenAPI, AsyncAPI.

They are checked in: their diff is the contract review of a change. `--check` writes nothing, and fails where the files
and the registry disagree.
"""

import argparse
import json
import sys
from pathlib import Path

from mpschema import asyncapi, jsonschemas, openapi

FOLDER = Path(__file__).parents[2] / "schemas"
"""Where they live in a checkout."""


def rendered() -> dict[str, str]:
    """Every document's text, by its path below the folder."""
    documents = jsonschemas.documents() | {"openapi.json": openapi.document(), "asyncapi.json": asyncapi.document()}
    return {path: json.dumps(document, indent=2, ensure_ascii=False) + "\n" for path, document in documents.items()}


def differences(folder: Path) -> list[str]:
    """The paths that are missing, differ, or stand for nothing any more."""
    wanted = rendered()
    there = {path.relative_to(folder).as_posix(): path.read_text("utf-8") for path in folder.rglob("*.json")}
    return sorted(path for path in wanted | there if wanted.get(path) != there.get(path))


def write(folder: Path) -> list[str]:
    """Bring the folder up to the registry. Returns the paths that changed."""
    changed, wanted = differences(folder), rendered()
    for path in changed:
        target = folder / path
        if path not in wanted:
            target.unlink()
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(wanted[path], "utf-8")
    return changed


def main(arguments: list[str] | None = None) -> int:
    """The command line. Returns the exit code: 1 where `--check` finds a difference."""
    parser = argparse.ArgumentParser(prog="python -m mpschema.export", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, fail on a difference")
    parser.add_argument("--to", type=Path, default=FOLDER, metavar="FOLDER", help="where the documents live")
    options = parser.parse_args(arguments)
    changed = differences(options.to) if options.check else write(options.to)
    for path in changed:
        print("differs:" if options.check else "wrote:", path)
    return 1 if options.check and changed else 0


if __name__ == "__main__":
    sys.exit(main())
