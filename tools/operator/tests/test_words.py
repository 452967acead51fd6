"""Errors of a tool name the thing, the cause, and what mends it; no sentence ends in nothing."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import mpoperator
import pytest
from mpd.servers import PostgresServer
from mpoperator.errors import ServerGone
from mpoperator.site.connections import archive

from tools.operator.tests.proving import mpctl

SOURCES = Path(mpoperator.__file__).parent
SERVICES = SOURCES.parents[3] / "services"


def _handlers() -> Iterator[tuple[Path, ast.ExceptHandler]]:
    for path in sorted(SOURCES.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ExceptHandler):
                yield path, node


def _bare(handler: ast.ExceptHandler) -> Iterator[int]:
    """Lines in which a server is told to be gone by an error's own words, which may be none."""
    for node in ast.walk(handler):
        if isinstance(node, ast.Raise) and "ServerGone" in ast.unparse(node):
            shown = [each.value for each in ast.walk(node) if isinstance(each, ast.FormattedValue)]
            if any(isinstance(value, ast.Name) and value.id == handler.name for value in shown):
                yield node.lineno


def test_nobody_is_told_to_be_gone_with_an_empty_end() -> None:
    found = [f"{path.relative_to(SOURCES)}:{line}" for path, handler in _handlers() for line in _bare(handler)]
    assert found == []


async def test_a_database_that_hangs_is_told_with_the_kind_of_its_error(own_postgres: PostgresServer) -> None:
    own_postgres.pause()
    try:
        with pytest.raises(ServerGone, match="PostgreSQL does not answer: TimeoutError"):
            async with archive(own_postgres.dsn()):
                pass
    finally:
        own_postgres.resume()


def test_a_cut_off_file_of_addresses_is_named_with_who_writes_it(tmp_path: Path) -> None:
    (tmp_path / "operator.json").write_text('{"nats_url": "nats://127')
    told = mpctl("log", "verify", home=tmp_path)
    assert told.code == 2
    assert f"{tmp_path}/operator.json cannot be read, and `mpd start` writes it anew" in told.err


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"MP_SERVICES": "[1"}, "MP_SERVICES is no JSON object of addresses by name"),
        ({"MP_SERVICES": '{"k": "nowhere"}'}, "MP_SERVICES: nowhere is no address: write http://HOST:PORT"),
        ({"MP_REDIS_USER": "me"}, "MP_REDIS_USER needs MP_REDIS_PASSWORD_FILE"),
    ],
)
def test_a_setting_that_does_not_fit_is_told_by_its_name(given: dict[str, str], said: str, tmp_path: Path) -> None:
    told = mpctl("log", "verify", home=tmp_path, MP_NATS_URL="nats://127.0.0.1:1", **given)
    assert (told.code, said in told.err, "mpd start" in told.err) == (2, True, False), told.err


def test_half_a_file_of_keys_is_told_in_good_words(tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_text('{"format": "moduprompt/ke')
    told = mpctl("backup", "restore-keys", tmp_path / "keys.json", tmp_path / "secrets", home=tmp_path)
    assert (told.code, "the file of keys is wrong: " in told.err) == (8, True), told.err


def test_what_an_advice_searches_for_in_a_log_is_logged_by_a_service() -> None:
    advice = "".join(path.read_text() for path in SOURCES.rglob("*.py"))
    logged = "".join(path.read_text() for path in SERVICES.glob("*/src/**/*.py"))
    searched = set(re.findall(r"grep ([a-z_]+\.[a-z_]+) in", advice))
    assert "turn.fault" in searched
    assert {each for each in searched if f'"{each}"' not in logged} == set()
