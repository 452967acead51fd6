"""The digest of the code that folds events: a snapshot made by other code is not trusted."""

import hashlib
from collections.abc import Iterator, Sequence
from importlib import resources
from importlib.resources.abc import Traversable

PACKAGES = ("mpcore", "mpschema")
"""The packages of ours that folding runs: the pure core and the vocabulary, with all that is below them."""
MODULES = (("mpviews", "access.py"),)
"""The single modules of other packages: the access slice is part of the snapshot, too."""


def sources(packages: Sequence[str] = PACKAGES) -> Iterator[tuple[str, bytes]]:
    """Every source that the digest covers, by its name: the packages with all that is below them, then the modules."""
    for package in packages:
        yield from _below(resources.files(package), package)
    for package, name in MODULES:
        yield f"{package}/{name}", (resources.files(package) / name).read_bytes()


def reducer_digest(packages: Sequence[str] = PACKAGES) -> str:
    """SHA-256 over the sources, each with its name and length."""
    digest = hashlib.sha256()
    for name, text in sources(packages):
        digest.update(f"{name} {len(text)}\n".encode() + text)
    return digest.hexdigest()


def _below(folder: Traversable, name: str) -> Iterator[tuple[str, bytes]]:
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir():
            yield from _below(entry, f"{name}/{entry.name}")
        elif entry.name.endswith(".py"):
            yield f"{name}/{entry.name}", entry.read_bytes()
