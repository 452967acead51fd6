"""The pages about the domain say what the tables say."""

from pathlib import Path

import pytest
from mpcore.diagrams import FOLDER, pages
from mpcore.domain.aggregates import BY_NAME
from mpschema.registry import COMMANDS

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("name", pages())
def test_a_page_is_as_the_code_draws_it(name: str) -> None:
    assert (ROOT / FOLDER / name).read_text() == pages()[name], "run: make docs"


def test_there_is_a_page_for_every_aggregate_and_no_other() -> None:
    assert {path.name for path in (ROOT / FOLDER).iterdir()} == {"index.md", *(f"{name}.md" for name in BY_NAME)}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_on_its_aggregate_s_page(command: str) -> None:
    assert f"| `{command}` |" in pages()[f"{COMMANDS[command].aggregate}.md"]


def test_a_task_s_lease_is_in_the_drawing() -> None:
    assert "    claimed --> ready: expire_lease" in pages()["task.md"]
