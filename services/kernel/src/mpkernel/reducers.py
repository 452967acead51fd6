"""The digest of the code that folds events: a snapshot made by other code is not trusted."""

import hashlib
from importlib import resources


def reducer_digest() -> str:
    """SHA-256 over the sources of the pure core and of the vocabulary, in the order of their names."""
    digest = hashlib.sha256()
    for package in ("mpkernel.core", "mpschema"):
        for source in sorted(resources.files(package).iterdir(), key=lambda entry: entry.name):
            if source.name.endswith(".py"):
                digest.update(source.name.encode() + b"\n" + source.read_bytes())
    return digest.hexdigest()
