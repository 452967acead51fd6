"""A new aggregate is ten files and a name in one list; everything else derives from them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture import scaffold
from tests.architecture.repository import ROOT

FILES_MAX = 10
LIBRARIES = ("mpschema", "mpcore", "mpviews", "mpclient")
SEEN = """
from mpcore.domain.aggregates import BY_NAME
from mpgateway.queries.sql import COLLECTIONS
from mpschema import openapi
from mpschema.notebook.rows import NotebookRow
from mpviews import VIEWS, ddl

routes = openapi.document()["paths"]
assert "/v1/workspaces/{workspace_id}/notebooks" in routes, "a collection over HTTP"
assert "/v1/workspaces/{workspace_id}/notebooks/{id}/close" in routes, "a command over HTTP"
assert COLLECTIONS[NotebookRow].projection == "notebooks", "a query"
assert "CREATE TABLE mp.notebooks" in ddl.create(VIEWS["notebooks"].tables[0], "mp"), "a table"
assert not VIEWS["notebooks"].changes.missing(), "a view"
assert BY_NAME["notebook"].finished, "memory"
"""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the libraries that a new aggregate touches, with one in them."""
    folder = tmp_path_factory.mktemp("house")
    for library in LIBRARIES:
        shutil.copytree(
            ROOT / "libs" / library, folder / "libs" / library, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copy(ROOT / "pyproject.toml", folder)
    assert len(scaffold.scaffold("notebook", folder)) <= FILES_MAX
    return folder


def run(house: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python on the copy: its libraries come before the installed ones."""
    path = os.pathsep.join([str(house), *(str(house / "libs" / library / "src") for library in LIBRARIES)])
    environment = os.environ | {"PYTHONPATH": path, "COLUMNS": "100"}
    return subprocess.run(
        [sys.executable, *arguments], cwd=house, env=environment, capture_output=True, text=True, check=False
    )


def test_it_is_known_to_core_routes_queries_tables_and_command_line(house: Path) -> None:
    written = run(house, "-m", "mpclient.generate")
    assert written.returncode == 0, written.stderr
    seen = run(house, "-c", SEEN)
    assert seen.returncode == 0, seen.stdout + seen.stderr
    helped = run(house, "-c", "from mpctl.main import main; main()", "notebook", "open", "--help")
    assert "Open a notebook." in helped.stdout, helped.stderr


def test_its_own_tests_pass(house: Path) -> None:
    tested = run(house, "-m", "pytest", "-q", "-p", "no:cacheprovider", "libs/mpcore/tests/test_notebook.py")
    assert tested.returncode == 0, tested.stdout
    assert "2 passed" in tested.stdout


def test_its_words_are_complete(house: Path) -> None:
    locked = run(house, "-m", "mpschema", "--to", str(house / "libs" / "mpschema"))
    assert locked.returncode == 0, locked.stderr
    suites = ("libs/mpschema/tests/test_registry.py", "libs/mpschema/tests/test_golden.py")
    tested = run(house, "-m", "pytest", "-q", "-p", "no:cacheprovider", *suites)
    assert tested.returncode == 0, tested.stdout


def test_what_is_there_is_left_alone(house: Path) -> None:
    with pytest.raises(FileExistsError):
        scaffold.scaffold("notebook", house)
    with pytest.raises(ValueError, match="no name of an aggregate"):
        scaffold.scaffold("Notebook", house)
