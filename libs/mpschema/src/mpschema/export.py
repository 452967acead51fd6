"""Files that derive from the registry: the lock of shapes and golden bytes, and on demand the documents.

The lock and the bytes are checked in: their diff is the contract review of a change. `--check` writes nothing, and
fails where they and the registry disagree. A changed shape under an old version is refused either way. The documents
(JSON Schemas, OpenAPI, AsyncAPI) are built whenever they are asked for: by a gateway, by a test, or by `--documents`.
"""

import argparse
import json
import sys
from pathlib import Path

from mpschema import asyncapi, golden, jsonschemas, openapi, shapes

FOLDER = Path(__file__).parents[2]
"""The project's own folder in a checkout."""
SCHEMAS, CORPUS = "schemas", "tests/golden"


def documents() -> dict[str, bytes]:
    """Every document as text for people, by its path."""
    built = jsonschemas.documents() | {"openapi.json": openapi.document(), "asyncapi.json": asyncapi.document()}
    return {path: f"{json.dumps(each, indent=2, ensure_ascii=False)}\n".encode() for path, each in built.items()}


def rendered(folder: Path) -> dict[str, bytes]:
    """The content of every generated file, by its path below the folder. Raises `shapes.ShapeChanged`."""
    lock = shapes.merge(shapes.read(folder / SCHEMAS / shapes.LOCK), shapes.current())
    files = {f"{SCHEMAS}/{shapes.LOCK}": shapes.render(lock).encode()}
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
        if data is None:
            (folder / path).unlink()
        else:
            _put(folder / path, data)
    return list(changed)


def _put(target: Path, data: bytes) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line. Returns 1 where `--check` finds a difference or a published shape changed."""
    parser = argparse.ArgumentParser(prog="python -m mpschema.export", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, fail on a difference")
    parser.add_argument("--to", type=Path, default=FOLDER, metavar="FOLDER", help="the folder of the project mpschema")
    parser.add_argument("--documents", type=Path, metavar="FOLDER", help="write the documents there, and nothing else")
    options = parser.parse_args(arguments)
    if options.documents is not None:
        for path, data in documents().items():
            _put(options.documents / path, data)
        return 0
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
