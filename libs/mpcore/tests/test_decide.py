"""What every command is asked before its own question: who asks, of what, in which version and state. In this order."""

import pytest
from mpschema.project import ConfigureProject, CreateProject
from mpschema.rejections import Code
from mpschema.task import CompleteTask, EditTask, MarkTaskReady
from mpschema.workspace import FreezeWorkspace

from libs.mpcore.tests.story import ACME, CORE, OWNER, VIEWER, Step, acme, ready, task

EDIT = Step(EditTask(title="x"), "t1")


@pytest.mark.parametrize("target", ["", "a/b", "a b", "-a", "a\n", "x" * 129, "ä"])
def test_a_target_is_an_id(target: str) -> None:
    story = acme()
    story.when(Step(CreateProject("More"), target)).then_rejected(Code.SCHEMA_INVALID)
    story.when(Step(ConfigureProject(), target)).then_rejected(Code.SCHEMA_INVALID)


def test_what_is_created_did_not_exist() -> None:
    acme().when(Step(CreateProject("More"), CORE)).then_rejected(Code.ALREADY_EXISTS)


def test_what_is_changed_exists() -> None:
    acme().when(EDIT).then_rejected(Code.NOT_FOUND)


@pytest.mark.parametrize(("version", "fits"), [(0, False), (1, True), (2, False), ("any", True)])
def test_an_expected_version_is_the_current_one(version: int | str, fits: bool) -> None:
    answer = acme().given(task()).when(EDIT._replace(expected_version=version))
    if fits:
        answer.then_accepted()
    else:
        answer.then_rejected(Code.STALE_VERSION)


def test_version_zero_means_not_there_yet() -> None:
    story = acme()
    story.when(task()._replace(expected_version=1)).then_rejected(Code.STALE_VERSION)
    story.when(task()._replace(expected_version=0)).then_accepted()
    story.when(task()._replace(expected_version=0)).then_rejected(Code.STALE_VERSION)


def test_every_event_raises_the_version_by_one() -> None:
    story = acme().given(task(), EDIT, ready())
    assert story.world.version_of(ACME, "task", "t1") == 3
    assert story.world.version_of(ACME, "task", "t2") == 0
    assert story.world.version_of("nowhere", "task", "t1") == 0
    assert story.world.version_of(ACME, "command", "cmd-1") == 0


def test_rights_come_before_the_freeze_the_freeze_before_the_version_the_version_before_the_state() -> None:
    story = acme().given(task())
    stale = Step(CompleteTask(), "t1", expected_version=9)
    story.when(stale).then_rejected(Code.STALE_VERSION)
    story.when(stale._replace(expected_version=1)).then_rejected(Code.INVALID_STATE)
    story.given(Step(FreezeWorkspace("x"), ACME, OWNER))
    story.when(stale).then_rejected(Code.FROZEN)
    story.when(stale._replace(by=VIEWER)).then_rejected(Code.DENIED)


def test_two_workspaces_know_nothing_of_each_other() -> None:
    story = acme().given(task())
    step = Step(MarkTaskReady(), "t1", workspace_id="else")
    story.when(step).then_rejected(Code.DENIED)
