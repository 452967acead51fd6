"""Projects: a name among the open ones, and no end while sessions run."""

from mpschema.project import (
    ArchiveProject,
    ConfigureProject,
    CreateProject,
    ProjectArchived,
    ProjectConfigured,
    ProjectCreated,
)
from mpschema.rejections import Code
from mpschema.session import CompleteSession, StartSession

from libs.mpcore.tests.story import CORE, Step, acme, board, spawned, task

ARCHIVE = Step(ArchiveProject(), CORE)


def test_a_project_is_created() -> None:
    step = Step(CreateProject("Docs", "git://docs", "main", ("a",)), "docs")
    acme().when(step).then(ProjectCreated("Docs", "git://docs", "main", ("a",)))


def test_a_name_belongs_to_one_open_project() -> None:
    story = acme()
    story.when(Step(CreateProject("Core"), "core2")).then_rejected(Code.NAME_TAKEN)
    story.given(ARCHIVE).when(Step(CreateProject("Core"), "core2")).then_accepted()


def test_a_project_is_configured_until_it_is_archived() -> None:
    story = acme()
    story.when(Step(ConfigureProject(labels=("x",)), CORE)).then(ProjectConfigured(labels=("x",)))
    story.given(ARCHIVE).when(Step(ConfigureProject(), CORE)).then_rejected(Code.ARCHIVED)


def test_a_project_is_not_archived_while_a_session_in_it_lives() -> None:
    story = acme().given(spawned("s1", project_id=CORE))
    story.when(ARCHIVE).then_rejected(Code.INVALID_STATE)
    story.given(Step(StartSession(), "s1"), Step(CompleteSession(), "s1"))
    story.when(ARCHIVE).then(ProjectArchived())


def test_nothing_new_begins_in_an_archived_project() -> None:
    story = acme().given(ARCHIVE)
    for step in (task(), board(), spawned("s1", project_id=CORE), ARCHIVE):
        story.when(step).then_rejected(Code.ARCHIVED)


def test_nothing_begins_in_a_project_that_does_not_exist() -> None:
    story = acme()
    story.when(task(project_id="nowhere")).then_rejected(Code.NOT_FOUND)
    story.when(spawned("s1", project_id="nowhere")).then_rejected(Code.NOT_FOUND)
