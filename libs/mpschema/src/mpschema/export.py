"""Writes everything that derives from the registry: JSON Schemas, OpenAPI, AsyncAPI, the lock of shapes, golden bytes.

All of it is checked in: its diff is the contract review of a change. `--check` writes nothing, and fails where the
files and the registry disagree. A changed shape under an old version is refused either way.
"""

import argparse
import json
import sys
from pathlib import Path

from mpschema import asyncapi, golden, jsonschemas, openapi, shapes

FOLDER = Path(__file__).parents[2]
"""The project's own folder in a checkout."""
SCHEMAS, CORPUS = "schemas", "tests/golden"


def rendered(folder: Path) -> dict[str, bytes]:
    """What every generated file should hold, by its path below the folder. Raises `shapes.ShapeChanged`."""
    documents = jsonschemas.documents() | {"openapi.json": openapi.document(), "asyncapi.json": asyncapi.document()}
    texts = {path: json.dumps(document, indent=2, ensure_ascii=False) + "\n" for path, document in documents.items()}
    texts[shapes.LOCK] = shapes.render(shapes.merge(shapes.read(folder / SCHEMAS / shapes.LOCK), shapes.current()))
    files = {f"{SCHEMAS}/{path}": text.encode() for path, text in texts.items()}
    return files | {f"{CORPUS}/{path}": data for path, data in golden.missing(folder / CORPUS).items()}


def differences(folder: Path) -> dict[str, bytes | None]:
    """The files that are missing or differ, with what they should hold; None for one that stands for nothing."""
    wanted = rendered(folder)
    there = {path.relative_to(folder).as_posix(): path.read_bytes() for path in (folder / SCHEMAS).rglob("*.*")}
    return {path: wanted.get(path) for path in sorted(wanted | there) if wanted.get(path) != there.get(path)}


def write(folder: Path) -> list[str]:
    """Bring the folder up to the registry. Returns the paths that changed."""
    changed = differences(folder)
    for path, data in changed.items():
        target = folder / path
        if data is None:
            target.unlink()
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    return list(changed)


def main(arguments: list[str] | None = None) -> int:
    """The command line. Returns the exit code: 1 where `--check` finds a difference or a published shape changed."""
    parser = argparse.ArgumentParser(prog="python -m mpschema.export", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, fail on a difference")
    parser.add_argument("--to", type=Path, default=FOLDER, metavar="FOLDER", help="the folder of the project mpschema")
    options = parser.parse_args(arguments)
    try:
        changed = list(differences(options.to)) if options.check else write(options.to)
    except shapes.ShapeChanged as refusal:
        print(refusal, file=sys.stderr)
        return 1
    for path in changed:
        print("differs:" if options.check else "wrote:", path)
    return 1 if options.check and changed else 0


if __name__ == "__main__":
    sys.exit(main())
