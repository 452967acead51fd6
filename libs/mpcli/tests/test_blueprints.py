"""Blueprints are strict, and are the same when they say the same."""

from __future__ import annotations

from pathlib import Path

import pytest
from mpcli.blueprints import BLUEPRINT_BYTES_MAX, BlueprintInvalid, Flaw, load_blueprint, parse_blueprint

REVIEWER = b"""\
name: reviewer
version: 1.2.0
instructions:
  - name: role
    text: You review changes.
limits:
  max_depth: 2
  max_children: 4
labels: [review]
"""


def _flaws(text: bytes) -> list[Flaw]:
    with pytest.raises(BlueprintInvalid) as caught:
        parse_blueprint(text, "it.yaml")
    return caught.value.flaws


def test_a_blueprint_says_what_a_session_runs() -> None:
    blueprint = parse_blueprint(REVIEWER, "it.yaml")
    assert (blueprint.ref.name, blueprint.ref.version, blueprint.ref.digest) == ("reviewer", "1.2.0", blueprint.digest)
    assert (blueprint.session_limits.max_depth, blueprint.session_limits.max_children) == (2, 4)
    assert blueprint.labels == ["review"]


def test_the_digest_is_of_what_it_says_and_not_of_its_layout() -> None:
    other_layout = b"# A comment.\nlabels:\n- review\n" + REVIEWER.replace(b"labels: [review]\n", b"tools: []\n")
    assert parse_blueprint(other_layout, "it.yaml").digest == parse_blueprint(REVIEWER, "it.yaml").digest
    changed = REVIEWER.replace(b"changes", b"ideas")
    assert parse_blueprint(changed, "it.yaml").digest != parse_blueprint(REVIEWER, "it.yaml").digest


def test_an_unknown_field_is_named_with_its_line() -> None:
    assert _flaws(REVIEWER + b"lables: [x]\n") == [Flaw(10, "lables", "is not a field of a blueprint")]
    assert _flaws(REVIEWER.replace(b"    text:", b"    txet:"))[1] == Flaw(
        5, "instructions.0.txet", "is not a field of a blueprint"
    )


@pytest.mark.parametrize(
    ("was", "becomes", "line", "field"),
    [
        (b"1.2.0", b"1.2", 2, "version"),
        (b"1.2.0", b'"1.2"', 2, "version"),
        (b"max_depth: 2", b'max_depth: "2"', 7, "limits.max_depth"),
        (b"max_depth: 2", b"max_depth: 17", 7, "limits.max_depth"),
        (b"name: reviewer", b"name: ../reviewer", 1, "name"),
        (b"labels: [review]", b"labels: [[]]", 9, "labels.0"),
        (b"name: reviewer\n", b"name: reviewer\nname: other\n", 2, "name"),
    ],
)
def test_what_does_not_fit_is_named_with_its_line(was: bytes, becomes: bytes, line: int, field: str) -> None:
    flaw = _flaws(REVIEWER.replace(was, becomes, 1))[0]
    assert (flaw.line, flaw.field) == (line, field)


def test_instruction_parts_have_names_of_their_own() -> None:
    twice = REVIEWER.replace(b"limits:", b"  - name: role\n    text: Again.\nlimits:")
    assert _flaws(twice) == [Flaw(3, "instructions", "part 'role' is given twice")]


@pytest.mark.parametrize(
    "text",
    [b"", b"- a list", b"a: [", b"\xff\xfe", b"a: &x [1]\nb: *x\n", b"a: 2024-99-99", b"a: !!python/object:os.x {}"],
    ids=["empty", "list", "no yaml", "no text", "alias", "no date", "python object"],
)
def test_what_is_no_blueprint_is_said_in_one_error(text: bytes) -> None:
    assert len(_flaws(text)) == 1


def test_the_message_reads_like_a_compiler() -> None:
    with pytest.raises(BlueprintInvalid, match=r"^it\.yaml:1: is not a mapping of fields$"):
        parse_blueprint(b"[]", "it.yaml")


def test_a_file_has_a_bound(tmp_path: Path) -> None:
    path = tmp_path / "huge.yaml"
    path.write_bytes(b"#" * (BLUEPRINT_BYTES_MAX + 1))
    with pytest.raises(BlueprintInvalid, match="is larger than"):
        load_blueprint(path)
    path.write_bytes(REVIEWER)
    assert load_blueprint(path).name == "reviewer"
