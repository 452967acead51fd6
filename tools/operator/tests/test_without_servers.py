"""Tools that know no server, or get no answer, say so in one line, in JSON when asked, by their exit code."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from mpcli.exits import Exit
from mpd.ports import free_port

from tools.operator.tests.typing_in import forget_servers, logging_kept, typed

NEED_SERVERS = {
    "log verify": (),
    "log checkpoints": (),
    "log export": ("{new}",),
    "log restore": ("--from", "archive"),
    "log mend": ("{new}",),
    "replay verify": (),
    "replay dump": (),
    "replay trace": (),
    "replay bisect": ("--snapshot",),
    "projection builds": (),
    "projection compare": ("work",),
    "projection switch": ("work",),
    "projection rollback": ("work",),
    "projection drop": ("work",),
    "projection rebuild": ("work",),
    "backup create": ("{new}",),
    "upgrade status": (),
    "upgrade finalize": (),
}
"""Tools that work on servers, with the arguments that they cannot do without."""


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home in which nothing is known."""
    home = tmp_path / "home"
    home.mkdir()
    forget_servers(monkeypatch, home)
    monkeypatch.chdir(tmp_path)
    with logging_kept():
        yield home


@pytest.fixture
def dead(monkeypatch: pytest.MonkeyPatch) -> None:
    """Addresses at which nothing listens."""
    monkeypatch.setenv("MP_NATS_URL", f"nats://127.0.0.1:{free_port()}")
    monkeypatch.setenv("MP_POSTGRES_OWNER_DSN", f"postgresql://mp_owner:x@127.0.0.1:{free_port()}/mp")


def _line(name: str, tmp_path: Path) -> list[str]:
    return [*name.split(), *(word.format(new=tmp_path / "new") for word in NEED_SERVERS[name])]


@pytest.mark.parametrize("name", NEED_SERVERS)
def test_whoever_knows_no_server_is_told_what_to_set(name: str, tmp_path: Path) -> None:
    told = typed(*_line(name, tmp_path))
    assert (told.code, told.out) == (Exit.USAGE, ""), told
    assert told.err.startswith("error: where are the servers? MP_NATS_URL: "), told.err
    assert len(told.err.splitlines()) == 1


@pytest.mark.parametrize("name", NEED_SERVERS)
def test_programs_get_it_as_json(name: str, tmp_path: Path) -> None:
    told = typed(*_line(name, tmp_path), "--json")
    assert told.code == Exit.USAGE
    assert told.json["code"] == "misconfigured"
    assert told.json["finding"] is None
    assert told.json["detail"] in told.err


@pytest.mark.usefixtures("dead")
@pytest.mark.parametrize("name", NEED_SERVERS)
def test_servers_that_do_not_answer_are_unreachable_and_nothing_is_written(name: str, tmp_path: Path) -> None:
    told = typed(*_line(name, tmp_path), "--json")
    assert told.code == Exit.UNREACHABLE, told
    assert told.json["code"] == "unreachable"
    assert "127.0.0.1" in told.json["detail"] or "PostgreSQL does not answer" in told.json["detail"]
    assert not (tmp_path / "new").exists() or not [*(tmp_path / "new").iterdir()]


@pytest.mark.usefixtures("dead")
def test_doctor_looks_at_dead_servers_and_ends_with_problems() -> None:
    told = typed("doctor", "--json")
    states = {check["name"]: check["state"] for check in told.json["checks"]}
    assert (told.code, told.json["healthy"]) == (1, False)
    assert (states["nats"], states["postgres"]) == ("problem", "problem")
    assert states["redis"] == "unknown", "nobody said where it is"


@pytest.mark.usefixtures("dead")
def test_top_shows_dead_servers_as_unknown_and_says_so_by_its_end() -> None:
    told = typed("top", "--json", "--interval", "0.2")
    assert told.code == Exit.UNREACHABLE
    shown = told.json
    assert (shown["seq"], shown["leader"], shown["projections"]) == (None, None, None)
    assert shown["unknown"], "what could not be asked is named"


BAD = [
    (("log", "verify", "--from", "0"), "Invalid value for '--from'"),
    (("log", "verify", "--against", "hearsay"), "Invalid value for '--against'"),
    (("log", "verify", "--wait", "-1"), "Invalid value for '--wait'"),
    (("log", "export"), "Missing argument 'DIR'"),
    (("log", "restore"), "Missing option '--from'"),
    (("replay", "dump", "--at", "soon"), "Invalid value for '--at'"),
    (("backup", "restore-keys", "keys.json"), "Missing argument"),
    (("projection", "compare", "work", "--first", "-1"), "Invalid value for '--first'"),
    (("projection", "rebuild", "work", "--to-seq", "5"), "--as goes with --to-seq or --to-time"),
    (("projection", "rebuild", "nonsense"), "'nonsense' is not one of 'all'"),
    (("top", "--interval", "0"), "Invalid value for '--interval'"),
    (("upgrade", "finalize", "--to", "1"), "Invalid value for '--to'"),
    (("log", "mend", "a", "b"), "unexpected extra argument"),
]


@pytest.mark.parametrize(("words", "said"), BAD)
def test_what_does_not_fit_is_wrong_usage(words: tuple[str, ...], said: str) -> None:
    told = typed(*words)
    assert (told.code, said in told.err) == (Exit.USAGE, True), told.err


REFUSED = [
    (("projection", "rebuild", "work", "--to-time", "yesterday", "--as", "x"), Exit.REJECTED, "is no time"),
    (("backup", "verify", "nothing"), Exit.REJECTED, "nothing"),
    (("backup", "restore-keys", "missing.json", "secrets"), Exit.REJECTED, "missing.json cannot be read"),
    (("log", "import", "nothing"), Exit.REJECTED, "nothing"),
]


@pytest.mark.usefixtures("dead")
@pytest.mark.parametrize(
    ("words", "ending", "said"), REFUSED, ids=lambda each: " ".join(each) if isinstance(each, tuple) else ""
)
def test_what_cannot_be_done_is_said_before_a_server_is_asked(words: tuple[str, ...], ending: Exit, said: str) -> None:
    told = typed(*words)
    assert (told.code, said in told.err) == (ending, True), (told.code, told.err)
