"""The end of a run that failed: one line for a person, a problem object with --json, and an exit code."""

from __future__ import annotations

import re

import click
from mpcli import output
from mpcli.context import Misconfigured, NoServer
from mpcli.exits import Exit, exit_of
from mpclient.errors import ClientError, ProblemError, ResyncRequired, Unreachable
from mpschema.problems import TYPE_URN, EdgeCode, Problem, title
from mpschema.rejections import Code

EXPECTED = (ClientError, Misconfigured, NoServer)
"""Errors that a run may fail with; anything else is a bug and shows where."""

_NEXT: tuple[tuple[str, str, str, str], ...] = (
    (
        "project.archive",
        Code.INVALID_STATE,
        "",
        "see them: mpctl session list --project {target}; end each: mpctl session cancel ID",
    ),
    (
        "workspace.archive",
        Code.INVALID_STATE,
        "",
        "see them: mpctl session list; end each: mpctl session cancel ID",
    ),
    ("principal.issue_key", Code.NOT_FOUND, "", "give it a role first: mpctl principal bind-role {target} --role ROLE"),
    ("task.claim", Code.INVALID_STATE, " is draft", "offer it first: mpctl task mark-ready {target}"),
    ("task.submit", Code.INVALID_STATE, " is claimed", "start it first: mpctl task start {target} --fence FENCE"),
)
"""The remedy for a refusal, by command, code, and the end of its sentence."""
_HINTS: dict[str, str] = {
    EdgeCode.UNAUTHENTICATED: "the key is missing, wrong, expired or revoked: "
    "`mpctl whoami` says which it is, --token or MPCTL_TOKEN gives another",
}
_NO_WORKSPACE = re.compile(r"(workspace \S+ does not exist|there is no such workspace)\Z")


def note_next(error: ProblemError, command_type: str, target: str) -> None:
    """Note at a refusal of a command what to type next, where one thing is."""
    for name, code, end, words in _NEXT:
        if (name, code) == (command_type, error.problem.code) and error.problem.detail.endswith(end):
            error.add_note(words.format(target=target))


def report(error: Exception, *, as_json: bool) -> Exit:
    """Say what failed; returns the code to end with."""
    code, problem = explain(error)
    if as_json:
        output.print_json(problem)
    output.complain(f"{problem.code}: {problem.detail}" if isinstance(error, ProblemError) else problem.detail)
    if found := _HINTS.get(problem.code):
        output.hint(found)
    if problem.code == Code.NOT_FOUND and _NO_WORKSPACE.match(problem.detail):
        output.hint("see those that are there: mpctl workspace list")
    for note in getattr(error, "__notes__", ()):
        output.hint(note)
    return code


def report_usage(error: click.UsageError) -> None:
    """Say it to a program; click says it to a person and ends with 2."""
    output.print_json(_own("usage", error.format_message()))


def explain(error: Exception) -> tuple[Exit, Problem]:
    """The exit code of a failure, and the problem that tells it to a program. No answer from a server has status 0."""
    match error:
        case ProblemError(problem=problem):
            return exit_of(problem.code), problem
        case Unreachable():
            return Exit.UNREACHABLE, _own("unreachable", f"no server answers ({error}): is it running? `mpd start`")
        case NoServer():
            return Exit.UNREACHABLE, _own("unreachable", str(error))
        case Misconfigured():
            return Exit.USAGE, _own("misconfigured", str(error))
        case ResyncRequired():
            return Exit.REJECTED, _own("resync_required", str(error))
    return Exit.INTERNAL, _own("unexpected_answer", str(error))


def _own(code: str, detail: str) -> Problem:
    return Problem(type=TYPE_URN + code, title=title(code), status=0, detail=detail, code=code)
