"""The secrets of an installation in containers: a file each, in the shape that Compose and the chart mount."""

from __future__ import annotations

import os
from pathlib import Path

from mpd.credentials import POSTGRES_ROLES, Credentials
from mpd.keys import ensure_keys, password_variable, write_private

IMAGE_USER = (10001, 10001)
"""The user that services run as in the image."""
NODES = ("nats", "nats-2", "nats-3")
# Releases before this one kept the passwords of PostgreSQL among the variables.
_VARIABLES = {role: password_variable(role) for role in POSTGRES_ROLES}


def write_installation(folder: Path) -> Path:
    """Make the secrets of an installation in containers: a file each, and one of variables that names them.

    What is there already stays. Returns the file of variables. Containers run as the owner of the files, which only
    that owner may read: whoever makes them, or, because nothing of ours runs as root, the user of the image.
    """
    keys, path = ensure_keys(folder), folder / "compose.env"
    known = dict(line.split("=", 1) for line in path.read_text().splitlines()) if path.exists() else {}
    before = {role: known[name] for role, name in _VARIABLES.items() if name in known}
    credentials = Credentials(folder, known=before)
    write_private(folder / "nats_cluster.conf", _cluster_config(credentials.routes_password))
    user = IMAGE_USER if os.geteuid() == 0 else (os.geteuid(), os.getegid())
    variables = {
        "MP_SECRETS": str(folder.absolute()),
        "MP_USER": f"{user[0]}:{user[1]}",
        "MP_ROOT_KEY_HASH": keys.root_key_hash,
    }
    write_private(path, "".join(f"{name}={value}\n" for name, value in variables.items()))
    if os.geteuid() == 0:
        for found in (folder, *folder.iterdir()):
            if found != path:
                os.chown(found, *user)
    return path


def _cluster_config(password: str) -> str:
    """Nodes let in nobody who does not know the password: a route may do everything."""
    routes = ", ".join(f'"nats://route:{password}@{node}:6222"' for node in NODES)
    authorization = f"authorization {{ user: route, password: {password} }}"
    return f"cluster {{\n  name: moduprompt\n  listen: 0.0.0.0:6222\n  {authorization}\n  routes: [{routes}]\n}}\n"
