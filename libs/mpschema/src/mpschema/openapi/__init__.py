"""The HTTP API as an OpenAPI 3.1 document, derived from the registry."""

from importlib.metadata import version
from typing import Any

from mpschema.openapi.commands import command_paths
from mpschema.openapi.doors import door_paths
from mpschema.openapi.parts import PARAMETERS, SECURITY, SECURITY_SCHEMES, schemas
from mpschema.openapi.queries import query_paths
from mpschema.openapi.refusals import RESPONSES
from mpschema.registry import AGGREGATES
from mpschema.system import LOG

API_VERSION = version("mpschema")
"""The version of the release: all our packages share one."""
_DESCRIPTION = """\
The headless control plane of ModuPrompt. A command is an order: it becomes recorded events, or a recorded refusal. A
query reads what the events left behind. A stream delivers every event as it happens.

- Give each command an `Idempotency-Key`: the same key and body get the same answer, another body a 409. A key is
  remembered for 30 days, unless the log has another limit; after that its request is decided anew.
- Every answer to a command carries its position in `Mp-Position`; `?after_seq=` on a query reads your own write.
- Refusals are problems (RFC 9457) with a stable `code`.
- Integers are written without a fraction: `1`, never `1.0`. An object never has a key twice."""


def document() -> dict[str, Any]:
    """The whole document, as plain values. Always the same for the same registry."""
    paths: dict[str, dict[str, Any]] = {}
    for path, operations in [*command_paths(), *query_paths(), *door_paths()]:
        paths.setdefault(path, {}).update(operations)
    return {
        "openapi": "3.1.0",
        "info": {"title": "ModuPrompt", "version": API_VERSION, "description": _DESCRIPTION},
        "servers": [{"url": "/"}],
        "security": SECURITY,
        "tags": _tags(),
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": schemas(),
            "parameters": PARAMETERS,
            "responses": RESPONSES,
            "securitySchemes": SECURITY_SCHEMES,
        },
    }


def _tags() -> list[dict[str, str]]:
    nouns = [{"name": plural, "description": f"Commands and queries about {plural}."} for plural in AGGREGATES.values()]
    return [
        *nouns,
        {"name": LOG, "description": "Commands about the log itself, for operators of the deployment."},
        {"name": "commands", "description": "Outcomes of commands, and commands in batches."},
        {"name": "events", "description": "Events, as they happen and as history."},
        {"name": "operations", "description": "Health, metrics and projections."},
    ]
