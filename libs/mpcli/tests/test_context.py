"""The server, key and workspace of `mpctl`: found first, taken first; and no key goes astray."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from mpcli.context import (
    Asked,
    Context,
    Misconfigured,
    NoServer,
    Remembered,
    context_path,
    recall,
    remember,
    resolve,
)
from mpcli.home import client_file

LOCAL = "http://127.0.0.1:8080"
REMOTE = "https://mp.example"


class Place:
    """A home and a working folder, and what may lie in them."""

    def __init__(self, root: Path) -> None:
        self.cwd = root / "work" / "deep"
        self.cwd.mkdir(parents=True)
        self.environment = {"HOME": str(root / "home"), "MP_HOME": str(root / "mp")}
        self._mp = root / "mp"

    def daemon(self, url: str = LOCAL) -> None:
        self._mp.mkdir()
        (self._mp / "client.json").write_text(json.dumps({"url": url, "api_key": "mpk_root_local"}))

    def folder(self, name: str, text: str) -> Path:
        path = self.cwd.parent / name if name else self.cwd.parent
        path.mkdir(exist_ok=True)
        (path / "moduprompt.toml").write_text(text)
        return path

    def found(self, **asked: str) -> Context:
        return resolve(Asked(**asked), self.environment, self.cwd)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_without_any_server_it_says_how_to_start_one(place: Place) -> None:
    with pytest.raises(NoServer, match="mpd start"):
        place.found()


def test_a_local_daemon_is_found_by_itself(place: Place) -> None:
    place.daemon()
    assert place.found() == Context(LOCAL, "mpk_root_local", None, None)


def test_the_order_is_options_environment_folder_context_daemon(place: Place) -> None:
    place.daemon()
    remember(Remembered("remembered", url="http://remembered", token="mpk_r_1"), place.environment)
    assert place.found() == Context("http://remembered", "mpk_r_1", "remembered", None)
    folder = place.folder("", '[workspace]\nid = "ours"\nurl = "http://folder"\n')
    assert place.found() == Context("http://folder", None, "ours", folder)
    place.environment |= {"MPCTL_URL": "http://env", "MPCTL_TOKEN": "mpk_e_1", "MPCTL_WORKSPACE": "theirs"}
    assert place.found() == Context("http://env", "mpk_e_1", "theirs", None)
    asked = place.found(url="http://asked/", token="mpk_a_1", workspace="another")
    assert asked == Context("http://asked", "mpk_a_1", "another", None)


def test_the_folder_is_found_from_below(place: Place) -> None:
    place.daemon()
    folder = place.folder("", '[workspace]\nid = "ours"\n')
    assert place.cwd != folder
    assert (place.found().workspace, place.found().folder) == ("ours", folder)


def test_a_workspace_is_named_by_id_or_by_folder(place: Place) -> None:
    place.daemon()
    folder = place.folder("its-folder", '[workspace]\nid = "ours"\n')
    by_path = place.found(workspace="../its-folder")
    assert (by_path.workspace, by_path.folder) == ("ours", folder)
    by_id = place.found(workspace="ours")
    assert (by_id.workspace, by_id.folder) == ("ours", None)


def test_the_folder_of_the_current_workspace_is_remembered(place: Place) -> None:
    place.daemon()
    folder = place.folder("its-folder", '[workspace]\nid = "ours"\n')
    remember(Remembered("ours", str(folder)), place.environment)
    assert place.found() == Context(LOCAL, "mpk_root_local", "ours", folder)
    assert place.found(workspace="ours").folder == folder
    (folder / "moduprompt.toml").unlink()
    assert place.found() == Context(LOCAL, "mpk_root_local", "ours", None)


@pytest.mark.parametrize("url", ["http://evil.example", "http://127.0.0.1:8081", "https://127.0.0.1:8080"])
def test_a_folder_cannot_send_a_stored_key_elsewhere(place: Place, url: str) -> None:
    place.daemon()
    remember(Remembered("x", url=REMOTE, token="mpk_r_1"), place.environment)
    place.folder("", f'[workspace]\nid = "ours"\nurl = "{url}"\n')
    assert place.found().token is None


def test_a_stored_key_goes_to_its_own_server_however_that_was_named(place: Place) -> None:
    place.daemon()
    remember(Remembered("x", url=REMOTE, token="mpk_r_1"), place.environment)
    assert place.found(url=LOCAL).token == "mpk_root_local"
    assert place.found(url=REMOTE + "/").token == "mpk_r_1"


def test_a_workspace_of_another_local_installation_is_not_the_current_one(place: Place) -> None:
    place.daemon()
    remember(Remembered("theirs", home="/srv/another"), place.environment)
    assert place.found().workspace is None
    remember(Remembered("ours", home=str(client_file(place.environment).parent)), place.environment)
    assert place.found().workspace == "ours"


def test_the_remembered_context_is_private(place: Place) -> None:
    path = remember(Remembered("ours", token="mpk_r_1", url=REMOTE), place.environment)
    assert path == context_path(place.environment)
    assert path.stat().st_mode & 0o777 == 0o600
    assert recall(place.environment) == Remembered("ours", token="mpk_r_1", url=REMOTE)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[workspace", "cannot be read"),
        ("", "does not name a workspace"),
        ("[workspace]\nid = 3\n", "does not name a workspace"),
        ('[workspace]\nid = "a/../b"\n', "does not name a workspace"),
        ('[workspace]\nid = "a"\nurl = 3\n', "url is not text"),
        ('[workspace]\nid = "a"\nurl = "ftp://x"\n', "begins with http"),
    ],
)
def test_a_broken_folder_is_named(place: Place, text: str, why: str) -> None:
    place.folder("", text)
    with pytest.raises(Misconfigured, match=why):
        place.found()


def test_a_folder_that_is_none_says_how_to_make_it_one(place: Place) -> None:
    place.daemon()
    with pytest.raises(Misconfigured, match="mpctl workspace init"):
        place.found(workspace="./nowhere")


def test_a_broken_context_is_named_and_not_passed_over(place: Place) -> None:
    path = remember(Remembered("ours"), place.environment)
    path.write_text("{")
    with pytest.raises(Misconfigured, match=r"context\.json cannot be read"):
        place.found()


@pytest.mark.parametrize("token", ["m\u00fcller", "mpk_a_\u200bb", "mpk_a\nb"])
def test_a_key_with_letters_that_none_has_is_told_before_anything_is_sent(place: Place, token: str) -> None:
    place.daemon()
    with pytest.raises(Misconfigured, match="copy it again"):
        place.found(token=token)
