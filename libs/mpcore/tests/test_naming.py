"""Names as people see them: one recorded form, nothing hidden in it, and two that look the same are the same."""

import copy

import msgspec
import pytest
from mpcore.domain.aggregates import RULES
from mpcore.domain.project.index import projects
from mpcore.engine.evolve import rebuild_indexes
from mpcore.state.facts import Fact
from mpschema.base import Command
from mpschema.board import (
    AddColumn,
    BoardCreated,
    Column,
    ColumnLimited,
    ColumnMapped,
    ColumnsReordered,
    CreateBoard,
    LimitColumn,
    MapColumn,
    ReorderColumns,
)
from mpschema.channel import OpenChannel, Scope
from mpschema.project import ArchiveProject, CreateProject, ProjectCreated
from mpschema.registry import COMMANDS
from mpschema.rejections import Code
from mpschema.session import SpawnSession
from mpschema.task import CreateTask, EditTask, TaskState
from mpschema.workspace import CreateWorkspace, RenameWorkspace

from libs.mpcore.tests.story import ACME, CORE, OWNER, ROOT, Step, Story, acme, active, task

REFERS = {MapColumn, LimitColumn, ReorderColumns, SpawnSession}
"""Commands that name what has its name already: a column, or a blueprint, which is a file of somebody else's."""
BEFORE = 2
"""The feature level before names were compared as people see them."""
CAFE, DECOMPOSED = "caf\u00e9", "cafe\u0301"
FAMILY, ENGLAND = "\U0001f468\u200d\U0001f469\u200d\U0001f467", "\U0001f3f4\U000e0067\U000e0062\U000e007f"
PERSIAN = "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"

HIDDEN = [
    *(" ", "\n", "\t", "\u00a0", "\u200b", "\u200d", "\u2800", "\u3164", "\u0301", "\U000e0041\U000e0042"),
    *("a\u200bb", "\u202ea", "a\u2066b", "a\u200eb", "a\x07", "\x1b[2J", "a\x9bb", "a\u0085b", "a\nb", "a\u2028b"),
    *("a\u00adb", "a\ufeffb", "a\U000e0041", "\ud7ff\u2029"),
]
SHOWN = ["a", "\u05e9\u05dc\u05d5\u05dd", FAMILY, ENGLAND, PERSIAN, "\u6771\u4eac\u3000\u90fd", "\u2764\ufe0f", "50 %"]


def project(name: str, project_id: str = "p1") -> Step:
    return Step(CreateProject(name), project_id)


@pytest.mark.parametrize("name", HIDDEN)
def test_a_name_with_something_hidden_in_it_is_refused_and_says_what(name: str) -> None:
    refused = acme().when(project(name)).then_rejected(Code.SCHEMA_INVALID)
    assert refused.detail.startswith("a name ")
    assert refused.detail.isprintable()


@pytest.mark.parametrize("name", SHOWN)
def test_a_name_that_can_be_seen_is_recorded_as_it_is(name: str) -> None:
    acme().when(project(name)).then(ProjectCreated(name))


@pytest.mark.parametrize("name", [DECOMPOSED, f" {CAFE}", f"{CAFE}\u00a0", f"\n{DECOMPOSED}\t"])
def test_a_name_is_recorded_composed_and_without_space_around_it(name: str) -> None:
    acme().when(project(name)).then(ProjectCreated(CAFE))


ALIKE = [(CAFE, DECOMPOSED), ("x", "x "), ("v", "v\u00a0"), ("a b", "a\u00a0b"), ("a b", "a  b"), ("y", "y\u200c")]


@pytest.mark.parametrize(("one", "other"), ALIKE)
def test_two_open_projects_never_have_names_that_look_the_same(one: str, other: str) -> None:
    story = acme().given(project(one))
    story.when(project(other, "p2")).then_rejected(Code.NAME_TAKEN)
    story.given(Step(ArchiveProject(), "p1")).when(project(other, "p2")).then_accepted()


def test_letters_of_other_scripts_and_cases_are_other_letters() -> None:
    acme().given(project("core"), project("c\u043ere", "p2"), project("CORE", "p3"))


@pytest.mark.parametrize(("one", "other"), ALIKE)
def test_before_the_level_a_name_is_what_was_sent(one: str, other: str) -> None:
    story = acme()
    story.world.feature_level = BEFORE
    story.when(project(one)).then(ProjectCreated(one))
    story.when(project(one, "p2")).then_rejected(Code.NAME_TAKEN)
    story.when(project(other, "p2")).then(ProjectCreated(other))
    story.when(project("\u200b", "p3")).then_accepted()


def both_spellings() -> Story:
    """Two open projects whose names look the same, and a name of nothing: recorded before names were looked at."""
    story = acme()
    for project_id, name in (("p1", CAFE), ("p2", DECOMPOSED), ("p3", "\u200b")):
        story.record(ACME, (Fact("project", project_id, ProjectCreated(name)),))
    return story


def test_what_was_recorded_before_keeps_working_and_the_index_is_rebuilt_the_same() -> None:
    story = both_spellings()
    kept = copy.deepcopy(story.tenant.indexes)
    rebuild_indexes(story.tenant)
    assert story.tenant.indexes == kept
    story.given(Step(ArchiveProject(), "p1"))
    story.when(project(CAFE, "p4")).then_rejected(Code.NAME_TAKEN)
    story.given(Step(ArchiveProject(), "p2"), Step(ArchiveProject(), "p3"))
    story.when(project(CAFE, "p4")).then_accepted()
    rebuild_indexes(story.tenant)
    assert projects(story.tenant).names == {"Core": {CORE}, CAFE: {"p4"}}


COLUMNS = (Column("doing", (TaskState.CLAIMED,)), Column("doing ", (TaskState.READY,)), Column(DECOMPOSED))


def on_board(command: Command) -> Step:
    return Step(command, "b1")


def recorded_board() -> Story:
    """A board whose columns were named before names were looked at."""
    story = acme()
    story.record(ACME, (Fact("board", "b1", BoardCreated(CORE, "Flow", COLUMNS)),))
    return story


def test_a_column_is_found_by_its_very_name_and_else_by_how_it_looks() -> None:
    story = recorded_board()
    story.when(on_board(LimitColumn("doing ", 2))).then(ColumnLimited("doing ", 2))
    story.when(on_board(LimitColumn("doing", 3))).then(ColumnLimited("doing", 3))
    story.when(on_board(MapColumn(CAFE, (TaskState.DONE,)))).then(ColumnMapped(DECOMPOSED, (TaskState.DONE,)))
    order = ReorderColumns((CAFE, "doing ", "doing"))
    story.when(on_board(order)).then(ColumnsReordered((DECOMPOSED, "doing ", "doing")))
    story.when(on_board(AddColumn("more"))).then_accepted()


@pytest.mark.parametrize("name", ["doing", " doing", CAFE, DECOMPOSED])
def test_a_new_column_never_looks_like_another(name: str) -> None:
    recorded_board().when(on_board(AddColumn(name))).then_rejected(Code.NAME_TAKEN)


def test_columns_of_a_new_board_are_told_apart_by_people() -> None:
    alike = CreateBoard(CORE, "Flow", (Column(CAFE), Column(f"{DECOMPOSED} ")))
    acme().when(Step(alike, "b1")).then_rejected(Code.NAME_TAKEN)
    hidden = CreateBoard(CORE, "Flow", (Column("to\u202edo"),))
    acme().when(Step(hidden, "b1")).then_rejected(Code.SCHEMA_INVALID)
    padded = CreateBoard(CORE, " Flow", (Column(" to do "),))
    acme().when(Step(padded, "b1")).then(BoardCreated(CORE, "Flow", (Column("to do"),)))


@pytest.mark.parametrize(
    "step",
    [
        Step(CreateWorkspace("\x1b[2J"), "new", ROOT, workspace_id="new"),
        Step(RenameWorkspace("a\u202eb"), ACME, OWNER),
        Step(CreateTask(CORE, "\u200b"), "t2"),
        Step(EditTask("a\x9bb"), "t1"),
        Step(OpenChannel("lead", Scope.SELF, "\u2067x"), "c1"),
    ],
)
def test_every_command_that_names_something_is_held_to_it(step: Step) -> None:
    story = acme().given(task(), *active("lead"))
    story.when(step).then_rejected(Code.SCHEMA_INVALID)


def test_a_title_that_is_left_out_stays() -> None:
    acme().given(task()).when(Step(EditTask(priority=1), "t1")).then_accepted()


def test_a_name_that_grows_beyond_what_its_event_can_hold_is_refused() -> None:
    acme().when(project("\u0958" * 150)).then_rejected(Code.SCHEMA_INVALID)


def test_every_command_with_a_name_in_it_either_gives_one_or_refers_to_one() -> None:
    name = {"type": "string", "minLength": 1, "maxLength": 200}
    with_a_name = {
        spec.arguments for spec in COMMANDS.values() if name in list(_schemas(msgspec.json.schema(spec.arguments)))
    }
    gives = {spec.arguments for kind, spec in COMMANDS.items() if RULES[kind].names is not None}
    assert with_a_name == gives | REFERS


def _schemas(schema: object) -> list[object]:
    found = [schema]
    if isinstance(schema, dict):
        found += [each for value in schema.values() for each in _schemas(value)]
    if isinstance(schema, list):
        found += [each for value in schema for each in _schemas(value)]
    return found
