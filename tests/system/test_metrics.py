"""Each service exports the families that operations/metrics.md lists for it, and no others."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from mpd.ports import free_port
from mpd.stack import Stack
from mpservice.services import NAMES
from prometheus_client.parser import text_string_to_metric_families

from tests.support.waiting import eventually_sync

PAGE = Path(__file__).parents[2] / "context" / "operations" / "metrics.md"
ALL = "All services"
LIBRARY = ("python_", "process_")


@pytest.fixture(scope="module")
def cold(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One of everything, without its servers: what is exported does not depend on them."""
    stack = Stack(tmp_path_factory.mktemp("cold"), relays=1, webhooks=1, http_port=free_port())
    for service in stack.services:
        service.spawn()
    yield stack
    stack.kill()


def listed() -> dict[str, set[str]]:
    """The page's families, by its headings."""
    found: dict[str, set[str]] = {}
    for section in PAGE.read_text().split("\n## ")[1:]:
        title, _, text = section.partition("\n")
        found[title] = set(re.findall(r"^\| `(\w+)`", text, re.MULTILINE))
    return found


def exported(text: str) -> set[str]:
    families = text_string_to_metric_families(text)
    names = {family.name + ("_total" if family.type == "counter" else "") for family in families}
    return {name for name in names if not name.startswith(LIBRARY)}


@pytest.mark.parametrize("kind", NAMES)
def test_a_service_exports_its_own_families_and_no_others(cold: Stack, kind: str) -> None:
    service = next(each for each in cold.services if each.kind == kind)
    text = eventually_sync(lambda: httpx.get(f"{service.ops_url}/metrics").raise_for_status().text)
    pages = listed()
    assert exported(text) == pages[ALL] | pages[kind]
    assert "_created" not in text
    assert f'service="{kind}"' in text
