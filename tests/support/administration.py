"""A user of NATS and Redis who may do everything: for what tests do to them, which no service of ours may."""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path
from urllib.parse import urlsplit

from mpbus.accounts import STREAMS_ACCOUNT
from mpd.stack import Stack
from redis.asyncio import Redis

_NAME, _PASSWORD = "tests", secrets.token_hex(16)


def administered(stack: Stack) -> Stack:
    """The stack, whose NATS and Redis know this user once they start."""
    for node in stack.nats_nodes:
        administrator = {STREAMS_ACCOUNT: [f"{{ user: {_NAME}, password: {_PASSWORD} }}"]}
        node.accounts = stack.credentials.nats_accounts(administrator)
    rules = stack.credentials.redis_acl_file
    rules.write_text(f"{rules.read_text()}user {_NAME} on >{_PASSWORD} ~* &* +@all\n")
    return stack


def administrator_url(stack: Stack) -> str:
    """NATS as this user."""
    nodes = [urlsplit(node.url).netloc for node in stack.nats_nodes]
    return ",".join(f"nats://{_NAME}:{_PASSWORD}@{node}" for node in nodes)


def redis_administrator(stack: Stack) -> Redis:
    """Redis as its administrator: the stack is `administered`."""
    return Redis(port=stack.valkey.port, username=_NAME, password=_PASSWORD)


def operator_environment(stack: Stack) -> dict[str, str]:
    """The environment of who runs this installation, for the operators' tools."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MP_", "MPCTL_"))}
    path = os.pathsep.join([str(Path(sys.executable).parent), kept["PATH"]])
    return kept | {"MP_HOME": str(stack.folder), "PATH": path, "COLUMNS": "400"}
