"""Documents agree with the house: links lead somewhere, and every command they show exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from mpd.cli import main as mpd
from mpservice.services import NAMES

from tests.architecture.repository import ROOT, text_of, tracked_files

LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
MAKE = re.compile(r"^\s*(?:\$ )?make ([a-z]+)", re.MULTILINE)
MPD = re.compile(r"^\s*(?:\$ )?(?:\.venv/bin/)?mpd ([a-z]+)", re.MULTILINE)

NAMED = re.compile(r"`([a-z]+\.(?!py|pub|seed|acl|conf|json|yaml)[a-z_]+)`")
"""A type or an event of the log, as `leader.stepped_down`."""
METRIC = re.compile(rf"\bmp_(?:{'|'.join(NAMES)}|dependency)_[a-z_]+")

DOCUMENTS = [path for path in tracked_files() if path.suffix == ".md"]


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_links_lead_somewhere(document: Path) -> None:
    broken = [target for target in LINK.findall(_prose(document)) if not _leads_somewhere(document, target)]
    assert broken == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_the_commands_shown_exist(document: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):.*## ", text_of(Path("Makefile")), re.MULTILINE))
    assert set(MAKE.findall(text_of(document))) - targets == set()
    assert set(MPD.findall(text_of(document))) - set(mpd.commands) == set()


def test_log_lines_and_metrics_that_operators_read_of_exist() -> None:
    code = "\n".join(text_of(path) for path in tracked_files() if path.suffix == ".py" and "src" in path.parts)
    pages = {path: text_of(path) for path in DOCUMENTS if path.parent.name == "operations"}
    missing = []
    for path, page in pages.items():
        names = {name for name in NAMED.findall(page) if not name.startswith("mp")}
        metrics = {name.removesuffix("_total") for name in METRIC.findall(page)}
        missing += [f"{path.name}: {name}" for name in names if f'"{name}"' not in code]
        missing += [f"{path.name}: {name}" for name in metrics if f'"{name}' not in code]
    assert missing == []


def test_the_first_screen_of_the_readme_starts_and_tests() -> None:
    first_screen = "\n".join(text_of(Path("README.md")).splitlines()[:30])
    assert "make start" in first_screen
    assert "make test" in first_screen


def _prose(document: Path) -> str:
    """The text without its code, where brackets mean something else."""
    without_blocks = re.sub(r"^```.*?^```", "", text_of(document), flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`\n]*`", "", without_blocks)


def _leads_somewhere(document: Path, target: str) -> bool:
    if re.match(r"[a-z]+:", target):
        return True  # Elsewhere on the web, which tests do not visit.
    name, _, anchor = target.partition("#")
    destination = (ROOT / document.parent / name).resolve() if name else ROOT / document
    if not destination.exists() or not destination.is_relative_to(ROOT):
        return False
    return not anchor or anchor in _anchors(destination.read_text())


def _anchors(text: str) -> set[str]:
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in HEADING.findall(text)}
