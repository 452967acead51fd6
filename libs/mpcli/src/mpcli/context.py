"""The context of a run: the server, the key, the workspace.

Each is looked for in this order: options, environment (MPCTL_URL, MPCTL_TOKEN, MPCTL_WORKSPACE), the `moduprompt.toml`
of the workspace folder, the remembered context, and the file a local `mpd` writes. A workspace folder holds no secret,
and a remembered or local key goes only to the server it was remembered with: a `moduprompt.toml` that came with
somebody's repository cannot send it elsewhere.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec
from mpschema.ids import is_id

from mpcli.home import client_file

T = TypeVar("T")

MARKER = "moduprompt.toml"
"""The file that makes a folder a workspace folder."""


class Misconfigured(Exception):
    """The configuration cannot be used; the message says what to type."""


class NoServer(Exception):
    """No server is known."""


class Remembered(msgspec.Struct, frozen=True, omit_defaults=True):
    """The context that `mpctl use` and `workspace init` remember."""

    workspace: str
    folder: str | None = None
    url: str | None = None
    token: str | None = None
    home: str | None = None
    """The data folder of the local installation it was remembered with, where no server was named."""


class _Local(msgspec.Struct, frozen=True):
    url: str
    api_key: str


@dataclass(frozen=True)
class Folder:
    """A workspace folder: where it is, and what its `moduprompt.toml` says."""

    path: Path
    workspace: str
    url: str | None = None


@dataclass(frozen=True)
class Asked:
    """The options that were given on the command line."""

    url: str | None = None
    token: str | None = None
    workspace: str | None = None


@dataclass(frozen=True)
class Context:
    """The answer. `folder` is the workspace's folder where one is known."""

    url: str
    token: str | None
    workspace: str | None
    folder: Path | None


def context_path(environment: Mapping[str, str]) -> Path:
    """Return the file in which the current context is remembered."""
    base = environment.get("XDG_CONFIG_HOME") or Path(environment.get("HOME") or Path.home()) / ".config"
    return Path(base) / "moduprompt" / "context.json"


def resolve(asked: Asked, environment: Mapping[str, str], cwd: Path) -> Context:
    """Find the server, the key and the workspace. Raises `Misconfigured` or `NoServer`."""
    remembered = recall(environment)
    if remembered and remembered.home and remembered.home != str(client_file(environment).parent):
        remembered = None  # A workspace of another installation: this one does not know it.
    local = _read(client_file(environment), _Local)
    workspace, folder = _workspace(asked, environment, cwd, remembered)
    urls = (
        asked.url,
        environment.get("MPCTL_URL"),
        folder.url if folder else None,
        remembered.url if remembered else None,
        local.url if local else None,
    )
    url = next(filter(None, urls), None)
    if url is None:
        raise NoServer("no server is known: start one here with `mpd start`, or give --url")
    if not url.startswith(("http://", "https://")):
        raise Misconfigured(f"{url!r} is no address: it begins with http:// or https://")
    url = url.rstrip("/")
    token = asked.token or environment.get("MPCTL_TOKEN") or _key_for(url, remembered, local)
    if token and not (token.isascii() and token.isprintable()):
        raise Misconfigured("the key or token has letters that none has: copy it again, without what stands around it")
    return Context(url, token or None, workspace, folder.path if folder else None)


def recall(environment: Mapping[str, str]) -> Remembered | None:
    """The remembered context, if there is one."""
    return _read(context_path(environment), Remembered)


def remember(context: Remembered, environment: Mapping[str, str]) -> Path:
    """Make this the current context; returns where it is kept. The file is its owner's alone: it may hold a key."""
    path = context_path(environment)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(context)) + b"\n")
    draft.replace(path)
    return path


def find_folder(start: Path) -> Folder | None:
    """The workspace folder that `start` is in, if any."""
    for path in (start, *start.parents):
        if (path / MARKER).is_file():
            return read_folder(path)
    return None


def read_folder(path: Path) -> Folder:
    """A workspace folder. Raises `Misconfigured` where it is none."""
    marker = path / MARKER
    try:
        said = tomllib.loads(marker.read_text()).get("workspace")
    except FileNotFoundError as error:
        raise Misconfigured(f"{path} holds no {MARKER}: make it with `mpctl workspace init {path}`") from error
    except (OSError, ValueError) as error:
        raise Misconfigured(f"{marker} cannot be read: {error}") from error
    if not isinstance(said, dict) or not isinstance(said.get("id"), str) or not is_id(said["id"]):
        raise Misconfigured(f"{marker} does not name a workspace: it wants [workspace] with an id")
    url = said.get("url")
    if not isinstance(url, str | None):
        raise Misconfigured(f"{marker}: url is not text")
    return Folder(path.resolve(), said["id"], url)


def _workspace(
    asked: Asked, environment: Mapping[str, str], cwd: Path, remembered: Remembered | None
) -> tuple[str | None, Folder | None]:
    """The workspace's id, and its folder where one is known."""
    named = asked.workspace or environment.get("MPCTL_WORKSPACE")
    if named:
        folder = _named_folder(named, cwd)
        if folder:
            return folder.workspace, folder
        if remembered and remembered.workspace == named:
            return named, _remembered_folder(remembered)
        return named, None
    if folder := find_folder(cwd):
        return folder.workspace, folder
    if remembered:
        return remembered.workspace, _remembered_folder(remembered)
    return None, None


def _named_folder(named: str, cwd: Path) -> Folder | None:
    """The folder meant by `--workspace`; None when it is an id."""
    path = cwd / Path(named).expanduser()
    if not is_id(named) or (path / MARKER).is_file():
        return read_folder(path)
    return None


def _remembered_folder(remembered: Remembered) -> Folder | None:
    """The folder, unless it was moved or is another workspace's by now."""
    if remembered.folder is None or not (Path(remembered.folder) / MARKER).is_file():
        return None
    folder = read_folder(Path(remembered.folder))
    return folder if folder.workspace == remembered.workspace else None


def _key_for(url: str, remembered: Remembered | None, local: _Local | None) -> str | None:
    """The stored key that belongs to this very server."""
    if remembered and remembered.token and remembered.url and remembered.url.rstrip("/") == url:
        return remembered.token
    return local.api_key if local and local.url.rstrip("/") == url else None


def _read(path: Path, kind: type[T]) -> T | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        raise Misconfigured(f"{path} cannot be read: {error}") from error
