"""Blueprints: what a session runs, written by people in YAML, content-addressed by what it says.

Reading is strict: an unknown field, a wrong type, a key given twice or an alias is an error that names its line. Two
files that say the same, in whatever layout, have the same digest.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import yaml
from mpschema.base import Label, Name
from mpschema.session import BlueprintRef, SessionLimits
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

BLUEPRINT_BYTES_MAX = 256 * 1024
SEMVER = r"^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$"

ShortName = Annotated[Name, Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]


def _unique_parts(parts: list[InstructionPart]) -> list[InstructionPart]:
    names = [part.name for part in parts]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"part {twice[0]!r} is given twice")
    return parts


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class ModelProfile(_Strict):
    """The kind of model that runs the session; the workspace maps profiles to models."""

    profile: ShortName = "default"
    output_tokens_max: Annotated[int, Field(ge=1, le=1_000_000)] | None = None


class InstructionPart(_Strict):
    """One named part of the instructions; parts are given in order."""

    name: ShortName
    text: Annotated[str, Field(min_length=1, max_length=32_768)]


class Limits(_Strict):
    """The bounds of a lineage that starts here."""

    max_depth: Annotated[int, Field(ge=0, le=16)] = 4
    max_children: Annotated[int, Field(ge=0, le=256)] = 16


class Blueprint(_Strict):
    """The work of a session: model, instructions, tools it may load, limits, labels."""

    name: ShortName
    version: Annotated[str, Field(pattern=SEMVER, max_length=100)]
    description: Annotated[str, Field(max_length=2_000)] = ""
    model: ModelProfile = ModelProfile()
    instructions: Annotated[list[InstructionPart], Field(min_length=1), AfterValidator(_unique_parts)]
    tools: list[ShortName] = []
    limits: Limits = Limits()
    labels: Annotated[list[Annotated[Label, Field(min_length=1, max_length=100)]], Field(max_length=32)] = []

    def canonical(self) -> bytes:
        """Canonical JSON: every field, keys sorted, no white space, UTF-8."""
        content = self.model_dump(mode="json")
        return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON, lower-case hex."""
        return hashlib.sha256(self.canonical()).hexdigest()

    @property
    def ref(self) -> BlueprintRef:
        """The reference by which a command names this blueprint."""
        return BlueprintRef(name=self.name, version=self.version, digest=self.digest)

    @property
    def session_limits(self) -> SessionLimits:
        """The limits in the words of `session.spawn`."""
        return SessionLimits(max_depth=self.limits.max_depth, max_children=self.limits.max_children)


@dataclass(frozen=True)
class Flaw:
    """One thing that is wrong: where (a line from 1, and the field) and what."""

    line: int
    field: str
    message: str


class BlueprintInvalid(Exception):
    """The file is no blueprint. The message names every flaw by line."""

    def __init__(self, source: str, flaws: list[Flaw]) -> None:
        lines = [f"{source}:{flaw.line}: {flaw.field + ': ' if flaw.field else ''}{flaw.message}" for flaw in flaws]
        super().__init__("\n".join(lines))
        self.source = source
        self.flaws = flaws


def load_blueprint(path: Path) -> Blueprint:
    """The blueprint in a file. Raises `BlueprintInvalid`, or `OSError` where the file cannot be read."""
    with path.open("rb") as file:
        data = file.read(BLUEPRINT_BYTES_MAX + 1)
    if len(data) > BLUEPRINT_BYTES_MAX:
        raise BlueprintInvalid(str(path), [Flaw(1, "", f"is larger than {BLUEPRINT_BYTES_MAX} bytes")])
    return parse_blueprint(data, str(path))


def parse_blueprint(data: bytes, source: str) -> Blueprint:
    """The blueprint in YAML bytes; `source` names them in errors. Raises `BlueprintInvalid`."""
    try:
        text = data.decode()
        _refuse_aliases(text, source)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        content = yaml.safe_load(text)
    except UnicodeDecodeError as error:
        raise BlueprintInvalid(source, [Flaw(1, "", f"is not UTF-8: {error.reason}")]) from error
    except yaml.YAMLError as error:
        raise BlueprintInvalid(source, [_yaml_flaw(error)]) from error
    except (
        ValueError,
        RecursionError,
    ) as error:  # A date like 2024-99-99, an integer of a million digits, deep nesting.
        raise BlueprintInvalid(source, [Flaw(1, "", f"cannot be read: {error}")]) from error
    if twice := _keys_given_twice(node):
        raise BlueprintInvalid(source, twice)
    if not isinstance(content, dict):
        raise BlueprintInvalid(source, [Flaw(1, "", "is not a mapping of fields")])
    try:
        return Blueprint.model_validate(content)
    except ValidationError as error:
        raise BlueprintInvalid(source, [_flaw(node, detail) for detail in error.errors()]) from error


def _refuse_aliases(text: str, source: str) -> None:
    # An alias of an alias of an alias is small in the file and huge in memory; a blueprint has no need of one.
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            line = event.start_mark.line + 1 if event.start_mark else 1
            raise BlueprintInvalid(source, [Flaw(line, "", "aliases are not allowed")])


def _yaml_flaw(error: yaml.YAMLError) -> Flaw:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return Flaw(error.problem_mark.line + 1, "", f"is not YAML: {error.problem}")
    return Flaw(1, "", f"is not YAML: {error}")


def _keys_given_twice(node: yaml.Node | None, field: str = "") -> list[Flaw]:
    flaws: list[Flaw] = []
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            name = f"{field}.{key.value}" if field else str(key.value)
            if key.value in seen:
                flaws.append(Flaw(key.start_mark.line + 1, name, "is given twice"))
            seen.add(key.value)
            flaws += _keys_given_twice(value, name)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            flaws += _keys_given_twice(item, f"{field}.{index}")
    return flaws


def _flaw(root: yaml.Node | None, detail: Any) -> Flaw:
    unknown = detail["type"] == "extra_forbidden"
    message = "is not a field of a blueprint" if unknown else detail["msg"].removeprefix("Value error, ")
    return Flaw(_line(root, detail["loc"]), ".".join(str(step) for step in detail["loc"]), message)


def _line(node: yaml.Node | None, loc: tuple[str | int, ...]) -> int:
    """The line of the deepest node that the location of an error leads to."""
    line = node.start_mark.line + 1 if node else 1
    for step in loc:
        if isinstance(node, yaml.MappingNode):
            found = next(((key, value) for key, value in node.value if key.value == str(step)), None)
            if found is None:
                break
            line, node = found[0].start_mark.line + 1, found[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
            line = node.start_mark.line + 1
    return line
