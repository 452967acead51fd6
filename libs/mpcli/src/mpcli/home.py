"""The folder of a local installation, in which `mpd` writes down where its servers are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def data_folder(environment: Mapping[str, str]) -> Path:
    """Return the folder of all data: MP_HOME, else `.moduprompt` at home. Raises `RuntimeError` without a home."""
    named = environment.get("MP_HOME")
    return Path(named) if named else Path(environment.get("HOME") or Path.home()) / ".moduprompt"


def client_file(environment: Mapping[str, str]) -> Path:
    """Return the file that says to users where a local gateway is, and their key."""
    return data_folder(environment) / "client.json"


def operator_file(environment: Mapping[str, str]) -> Path:
    """Return the file that says to the operators' tools where the local servers are."""
    return data_folder(environment) / "operator.json"
