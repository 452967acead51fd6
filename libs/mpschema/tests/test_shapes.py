"""A published shape never changes under its version number; the lock notices."""

import copy
from pathlib import Path
from typing import Annotated, Any

import pytest
from mpschema import asyncapi, export, openapi, shapes
from mpschema.jsonschemas import standalone
from mpschema.registry import COMMANDS, EVENTS
from mpschema.task import ClaimTask, CreateTask
from msgspec import Meta, Struct, defstruct


def shape_of(kind: type) -> str:
    return shapes.digest(standalone(kind, "any"))


def claim_with(*fields: Any) -> type[Struct]:
    return defstruct("ClaimTask", list(fields), bases=(Struct,), forbid_unknown_fields=True)


def test_the_lock_is_up_to_date() -> None:
    locked = shapes.read(export.FOLDER / export.SCHEMAS / shapes.LOCK)
    assert shapes.merge(locked, shapes.current()) == locked, "a new shape: python -m mpschema locks it"


def test_every_command_and_event_is_locked() -> None:
    commands = {f"{spec.command_type}.v{spec.version}" for spec in COMMANDS.values()}
    assert commands | set(EVENTS) <= shapes.current().keys()


@pytest.mark.parametrize("change", ["other", None])
def test_a_changed_or_lost_shape_is_refused_and_the_way_out_is_told(change: str | None) -> None:
    now = shapes.current()
    locked = now | {"mp.task.TaskClaimed.v1": "0" * 64} if change else now | {"mp.task.TaskGone.v1": "0" * 64}
    with pytest.raises(shapes.ShapeChanged, match="add a version instead") as refused:
        shapes.merge(locked, now)
    assert refused.value.names == ["mp.task.TaskClaimed.v1" if change else "mp.task.TaskGone.v1"]


def test_a_new_shape_is_added() -> None:
    now = shapes.current()
    locked = {name: shape for name, shape in now.items() if name != "mp.task.TaskClaimed.v1"}
    assert shapes.merge(locked, now) == now


def test_an_enumeration_may_gain_members_but_never_lose_one() -> None:
    now = shapes.current()
    fewer, more = ["ready"], ["ready", "waiting"]
    assert shapes.merge(now | {"enum TaskState": fewer}, now | {"enum TaskState": more})["enum TaskState"] == more
    with pytest.raises(shapes.ShapeChanged):
        shapes.merge(now | {"enum TaskState": more}, now | {"enum TaskState": fewer})


def test_an_old_command_gives_way_to_its_next_version_but_an_old_event_never_does() -> None:
    now: shapes.Lock = {"task.claim.v2": "b", "mp.task.TaskClaimed.v2": "b"}
    assert shapes.merge({"task.claim.v1": "a"}, now) == {"task.claim.v1": "a"} | now
    with pytest.raises(shapes.ShapeChanged):
        shapes.merge({"mp.task.TaskClaimed.v1": "a"}, now)


def test_the_digest_sees_what_matters_and_no_more() -> None:
    plain = claim_with(("ttl_seconds", int))
    documented = defstruct("ClaimTask", [("ttl_seconds", int)], forbid_unknown_fields=True, namespace={"__doc__": "x"})
    assert shape_of(plain) == shape_of(documented)
    different = [
        claim_with(("ttl_seconds", str)),
        claim_with(("ttl", int)),
        claim_with(("ttl_seconds", int, 300)),
        claim_with(("ttl_seconds", int), ("title", str)),
        claim_with(("ttl_seconds", Annotated[int, Meta(ge=1)])),
    ]
    assert len({shape_of(kind) for kind in [plain, *different]}) == 6
    assert shape_of(ClaimTask) != shape_of(CreateTask)


def test_the_export_refuses_a_changed_shape_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export.main(["--to", str(tmp_path)]) == 0
    lock = tmp_path / export.SCHEMAS / shapes.LOCK
    lock.write_text(shapes.render(shapes.read(lock) | {"task.claim.v1": "0" * 64}))
    before = lock.read_bytes()
    assert export.main(["--to", str(tmp_path)]) == 1
    assert "task.claim.v1" in capsys.readouterr().err
    assert lock.read_bytes() == before


HTTP, STREAMS = openapi.document(), asyncapi.document()


@pytest.mark.parametrize(
    ("line", "part", "change"),
    [
        ("GET /healthz", ("paths", "/healthz", "get"), {"deprecated": True}),
        ("schema TaskRow", ("components", "schemas", "TaskRow"), {"required": []}),
        ("schema Role", ("components", "schemas", "Role"), {"enum": ["owner"]}),
        ("parameters Limit", ("components", "parameters", "Limit"), {"required": True}),
        ("responses Problem404", ("components", "responses", "Problem404"), {"x-codes": []}),
    ],
)
def test_a_change_of_the_http_api_is_one_line_of_the_lock_and_a_change_of_words_is_none(
    line: str, part: tuple[str, ...], change: dict[str, Any]
) -> None:
    before = shapes.shown(HTTP, STREAMS)
    assert before.items() <= shapes.current().items()
    for words, lines in (({"description": "in other words"}, set()), (change, {line})):
        http = copy.deepcopy(HTTP)
        found = http
        for step in part:
            found = found[step]
        found |= words
        after = shapes.shown(http, STREAMS)
        assert {name for name in before | after if before.get(name) != after.get(name)} == lines


def test_a_channel_of_the_streams_is_a_line_of_the_lock() -> None:
    before = shapes.shown(HTTP, STREAMS)
    fewer = STREAMS | {"channels": {name: each for name, each in STREAMS["channels"].items() if name != "feed"}}
    assert before.keys() - shapes.shown(HTTP, fewer).keys() == {"streams channels feed"}


def test_what_is_shown_may_change_and_go() -> None:
    now = shapes.current()
    assert shapes.merge(now | {"GET /v1/gone": "0" * 16, "schema TaskRow": "0" * 16}, now) == now
