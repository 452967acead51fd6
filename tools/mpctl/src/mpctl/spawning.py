"""`session spawn --blueprint PATH`: the command carries the blueprint's name, version and digest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import msgspec
from mpcli.context import Context, Misconfigured
from mpschema.session import BlueprintRef


def blueprint_option() -> click.Option:
    """The option that takes the place of the nested reference."""
    return click.Option(
        ["--blueprint"],
        metavar="FILE|JSON",
        required=True,
        help="A blueprint file (looked for here, then in the workspace folder), or {name, version, digest} as JSON.",
    )


def complete(arguments: dict[str, Any], context: Context) -> None:
    """Put the reference of the blueprint that was named, its limits and labels, into the arguments.

    What was given on the command line goes before what the blueprint says.
    """
    named = arguments["blueprint"]
    if named.startswith("{"):
        arguments["blueprint"] = _reference(named)
        return
    # Pydantic is slow to import, and only this needs it.
    from mpcli.blueprints import BlueprintInvalid, load_blueprint

    try:
        blueprint = load_blueprint(find(named, context))
    except (BlueprintInvalid, OSError) as error:
        raise Misconfigured(str(error)) from error
    arguments["blueprint"] = msgspec.to_builtins(blueprint.ref)
    if "limits" in blueprint.model_fields_set:
        arguments.setdefault("limits", msgspec.to_builtins(blueprint.session_limits))
    labels = list(dict.fromkeys([*blueprint.labels, *arguments.get("labels", [])]))
    if labels:
        arguments["labels"] = labels


def find(named: str, context: Context) -> Path:
    """The file: as named from here, else from the workspace folder. Raises `Misconfigured` where there is none."""
    path = Path(named).expanduser()
    places = [path] if context.folder is None or path.is_absolute() else [path, context.folder / path]
    for place in places:
        if place.is_file():
            return place
    looked = " nor in ".join(str(place.absolute().parent) for place in places)
    raise Misconfigured(f"no blueprint {path.name} in {looked}")


def _reference(text: str) -> Any:
    try:
        return msgspec.to_builtins(msgspec.json.decode(text.encode(), type=BlueprintRef))
    except msgspec.DecodeError as error:
        raise click.UsageError(f"--blueprint: {error}") from error
