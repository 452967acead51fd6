"""The typed Python SDK of ModuPrompt.

    from mpclient import AsyncClient, Client, order
    from mpclient.errors import Rejected

What is named here is loaded when it is first used, so that a command line answers the shell's completion at once.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mpclient.calls import order
    from mpclient.client import AsyncClient
    from mpclient.sync import Client
    from mpclient.transport import Retries

__all__ = ["AsyncClient", "Client", "Retries", "order"]

_HOMES = {
    "AsyncClient": "mpclient.client",
    "Client": "mpclient.sync",
    "Retries": "mpclient.transport",
    "order": "mpclient.calls",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
