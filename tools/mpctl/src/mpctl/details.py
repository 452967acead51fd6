"""Commands made by hand where a plain answer is not the best one: keys, tokens, trees, boards, the server's state."""

from __future__ import annotations

import datetime as dt
import time

import click
from mpcli import output
from mpcli.exits import Exit
from mpcli.invocation import Invocation, command
from mpcli.lineage import tree
from mpschema.api import IssuedKey, IssuedToken
from mpschema.board.rows import BoardRow
from mpschema.queries import QUERIES
from mpschema.session import IssueSessionToken
from mpschema.session.rows import SessionRow
from mpschema.system.rows import ProjectionRow
from mpschema.task.rows import TaskRow

from mpctl.fields import field_options
from mpctl.kanban import kanban, kanban_lines
from mpctl.server import RemoteServer


def add_details(root: click.Group, groups: dict[str, click.Group]) -> None:
    """Adds them all."""
    _add_key(groups["key"])
    _add_session(groups["session"])
    _add_board(groups["board"])
    _add_status(root)
    _add_whoami(root)


def _add_key(group: click.Group) -> None:
    @command(
        group,
        "issue",
        click.Argument(["principal"], metavar="PRINCIPAL"),
        click.Option(["--key-id"], metavar="ID", help="What to call the key.  [default: chosen by the server]"),
        click.Option(
            ["--expires-at-ms"],
            type=click.IntRange(0),
            callback=_still_to_come,
            help="When it ends, in milliseconds since 1970.  [default: when it is revoked]",
        ),
        examples=["mpctl key issue user:ada", "mpctl key issue service:ci --key-id ci --json"],
    )
    def issue(invocation: Invocation, principal: str, key_id: str | None, expires_at_ms: int | None) -> None:
        """Make an API key for a principal. The key is shown this once and stored nowhere."""
        with RemoteServer.of(invocation.context, invocation.workspace) as server:
            issued = server.issue_key(principal, key_id, expires_at_ms)
        _show_secret(issued, issued.key, f"key {issued.key_id} of {principal}", invocation.as_json)


def _still_to_come(ctx: click.Context, option: click.Parameter, value: int | None) -> int | None:
    if value is None or value > time.time() * 1_000:
        return value
    when = dt.datetime.fromtimestamp(value / 1_000, dt.UTC).isoformat(timespec="seconds")
    raise click.BadParameter(f"{value} is {when}, which has passed: the key would be good for nothing", ctx, option)


def _add_session(group: click.Group) -> None:
    ttl = field_options(IssueSessionToken)[0]

    @command(
        group,
        "token",
        click.Argument(["session"], metavar="ID"),
        *ttl.parameters(),
        examples=["mpctl session token reviewer-1", "MPCTL_TOKEN=$(mpctl session token reviewer-1) mpctl task list"],
    )
    def token(invocation: Invocation, session: str, ttl_seconds: int | None) -> None:
        """Make a short-lived token for the agent that runs a session. It is shown this once and stored nowhere."""
        with RemoteServer.of(invocation.context, invocation.workspace) as server:
            issued = server.issue_token(session, ttl_seconds)
        _show_secret(issued, issued.token, f"token of session {session}", invocation.as_json)

    @command(group, "tree", click.Argument(["session"], metavar="ID"), examples=["mpctl session tree lead-1"])
    def show_tree(invocation: Invocation, session: str) -> None:
        """Show a session and everything below it as a tree."""
        with RemoteServer.of(invocation.context, invocation.workspace) as server:
            top = server.row(QUERIES["session.get"], session)
            below = server.rows(QUERIES["session.descendants"], session)
        assert isinstance(top, SessionRow)
        if invocation.as_json:
            output.print_json({"session": top, "descendants": below})
        else:
            output.out().print(tree(top, [row for row in below if isinstance(row, SessionRow)]), soft_wrap=True)


def _add_board(group: click.Group) -> None:
    @command(group, "show", click.Argument(["board"], metavar="ID"), examples=["mpctl board show flow"])
    def show(invocation: Invocation, board: str) -> None:
        """Show a board with its tasks, column by column, with the limits on work in progress."""
        with RemoteServer.of(invocation.context, invocation.workspace) as server:
            row = server.row(QUERIES["board.get"], board)
            tasks = server.rows(QUERIES["task.list"], "", {"board_id": board})
        assert isinstance(row, BoardRow)
        held = [task for task in tasks if isinstance(task, TaskRow)]
        if invocation.as_json:
            output.print_json({"board": row, "tasks": held})
        elif output.out().is_terminal:
            output.out().print(kanban(row, held))
        else:
            click.echo("\n".join(kanban_lines(row, held)))


def _add_status(root: click.Group) -> None:
    @command(root, "status", examples=["mpctl status", "mpctl status --json"])
    def status(invocation: Invocation) -> None:
        """Show how the server is.

        Whether it is ready, its version, the leader's epoch, the head of the log, how far the read models are. Exit
        code 0 when it is ready, 6 when it is not.
        """
        with RemoteServer.of(invocation.context, invocation.context.workspace or "") as server:
            found = server.status()
        if invocation.as_json:
            output.print_json(found)
        else:
            output.print_aligned(
                [
                    ["server", found.url],
                    *_readiness(found.complaints),
                    ["version", found.version],
                    ["leader epoch", str(found.epoch or "-")],
                    ["head", str(found.head)],
                    ["workspace", invocation.context.workspace or "-"],
                ]
            )
            if found.projections:
                output.print_rows(found.projections, _PROJECTION_COLUMNS)
        if not found.ready:
            click.get_current_context().exit(Exit.OVERLOADED)


def _readiness(complaints: list[str]) -> list[list[str]]:
    """Return the rows about readiness: a line for each reason against it."""
    if not complaints:
        return [["ready", "yes"]]
    return [["ready" if at == 0 else "", f"no: {each}" if at == 0 else each] for at, each in enumerate(complaints)]


_PROJECTION_COLUMNS = ("name", "build", "phase", "state", "position", "lag_events", "lag_seconds")
"""The columns of the table. The cause of a halt stands above it: it is often the same for all."""
assert set(_PROJECTION_COLUMNS) <= set(ProjectionRow.__struct_fields__)


def _add_whoami(root: click.Group) -> None:
    @command(root, "whoami", examples=["mpctl whoami"])
    def whoami(invocation: Invocation) -> None:
        """Show which server, workspace and key are meant here, and whether the server takes that key.

        Exit code 0 where it does, or cannot be asked; 4 where it does not.
        """
        context = invocation.context
        token = context.token or ""
        kind = "none" if not token else f"API key {token.split('_')[1]}" if token.startswith("mpk_") else "token"
        found = {
            "url": context.url,
            "workspace": context.workspace,
            "folder": str(context.folder) if context.folder else None,
            "credential": kind,
        }
        refusal = RemoteServer.of(context, "").refusal() if token else None
        accepted = None if refusal is None else not refusal
        if invocation.as_json:
            output.print_json(found | {"accepted": accepted} | ({"refusal": refusal} if refusal else {}))
        else:
            told = {None: "not known: the server does not say", True: "yes", False: f"no: {refusal}"}[accepted]
            shown = found | ({"accepted": told} if token else {})
            output.print_aligned([[name, output.safe(value or "-")] for name, value in shown.items()])
        if refusal:
            output.hint("give another key with --token or MPCTL_TOKEN")
            click.get_current_context().exit(Exit.DENIED)


def _show_secret(issued: IssuedKey | IssuedToken, secret: str, what: str, as_json: bool) -> None:
    """The secret alone on standard output, so that it can be taken by a script; what it is, beside it."""
    if as_json:
        return output.print_json(issued)
    output.hint(f"{what}, shown this once:")
    click.echo(secret)
    return None
