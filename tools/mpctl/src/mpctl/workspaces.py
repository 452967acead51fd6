"""`workspace init` and `use`: make a workspace, and say which one is meant from now on."""

from __future__ import annotations

import os
from pathlib import Path

import click
from mpcli import output
from mpcli.context import MARKER, Misconfigured, Remembered, read_folder, recall, remember
from mpcli.home import client_file
from mpcli.invocation import Invocation, command
from mpclient.errors import Rejected
from mpschema.envelope import Outcome
from mpschema.ids import is_id
from mpschema.queries import QUERIES
from mpschema.rejections import Code

from mpctl.folders import workspace_id, write_files
from mpctl.server import Flags, RemoteServer

_INIT_EXAMPLES = ["mpctl workspace init ./my-workspace", "mpctl workspace init . --id acme --name 'Acme Labs'"]


def add_init(group: click.Group) -> None:
    """Adds `workspace init`."""

    @command(
        group,
        "init",
        click.Argument(["folder"], type=click.Path(file_okay=False, path_type=Path)),
        click.Option(["--id", "chosen"], metavar="ID", help="The workspace's id.  [default: the folder's name]"),
        click.Option(["--name"], help="What it is called.  [default: its id]"),
        examples=_INIT_EXAMPLES,
        scoped=False,
    )
    def init(invocation: Invocation, folder: Path, chosen: str | None, name: str | None) -> None:
        """Make a workspace, here and on the server, and make it the current one.

        Doing it again changes nothing: files that exist stay as they are.
        """
        workspace = _chosen_id(folder, chosen)
        created = _create(invocation, workspace, name or workspace)
        written = write_files(folder, workspace)
        _make_current(invocation, workspace, folder)
        if invocation.as_json:
            files = [str(path) for path in written]
            output.print_json({"workspace": workspace, "folder": str(folder), "created": created, "files": files})
            return
        output.done(f"workspace {workspace}", "created" if created else "was there already", "is the current one now")
        for path in written:
            output.done(f"wrote {path}")


def add_use(root: click.Group) -> None:
    """Adds `use`."""

    @command(
        root,
        "use",
        click.Argument(["workspace"], metavar="ID|FOLDER"),
        examples=["mpctl use my-workspace", "mpctl use acme --url https://mp.example.com --token mpk_…"],
        scoped=False,
    )
    def use(invocation: Invocation) -> None:
        """Make a workspace the current one.

        With --url and --token these are remembered too. They are kept in your home folder, readable by you alone.
        """
        with RemoteServer.of(invocation.context, invocation.workspace) as server:
            server.row(QUERIES["workspace.get"], "")
        path = _make_current(invocation, invocation.workspace, invocation.context.folder)
        if invocation.as_json:
            output.print_json({"workspace": invocation.workspace, "kept_in": str(path)})
        else:
            output.done(f"{invocation.workspace} is the current workspace", f"kept in {path}")


def _chosen_id(folder: Path, chosen: str | None) -> str:
    """The id the folder has already, or the one asked for, or one made of its name."""
    if chosen is not None and not is_id(chosen):
        raise click.UsageError(f"--id {chosen!r}: an id is 1 to 128 of letters, digits, _ : @ -")
    if not (folder / MARKER).exists():
        return chosen or workspace_id(folder)
    known = read_folder(folder).workspace
    if chosen not in (None, known):
        raise Misconfigured(f"{folder} is the folder of workspace {known} already, not of {chosen}")
    return known


def _create(invocation: Invocation, workspace: str, name: str) -> bool:
    """Create it on the server, unless it is there and open to us. Returns whether it was created."""
    with RemoteServer.of(invocation.context, workspace) as server:
        try:
            outcome = server.command("workspace.create", workspace, {"name": name}, Flags())
        except Rejected as refusal:
            if refusal.code not in (Code.ALREADY_EXISTS, Code.DENIED) or not _is_readable(server):
                raise
            return False
        assert isinstance(outcome, Outcome)
        server.row(QUERIES["workspace.get"], "", outcome.last_seq)
        return True


def _is_readable(server: RemoteServer) -> bool:
    """Tell whether the workspace is there and open to us: who may not create one may still work in it."""
    try:
        server.row(QUERIES["workspace.get"], "")
    except Rejected:
        return False
    return True


def _make_current(invocation: Invocation, workspace: str, folder: Path | None) -> Path:
    """Remember it, and the server and key where these were given by hand, now or when they were remembered."""
    given = click.get_current_context().params
    url, token = given.get("url"), given.get("token")
    before = recall(os.environ)
    if before and before.url and before.url.rstrip("/") == invocation.context.url:
        url, token = url or before.url, token or before.token
    if token:
        url = invocation.context.url
    place = str(folder.resolve()) if folder else None
    home = None if url else str(client_file(os.environ).parent)
    return remember(Remembered(workspace, place, url, token, home), os.environ)
