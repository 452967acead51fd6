"""`mpctl batch`: many commands from a file, in order, with a count of what became of them."""

from __future__ import annotations

import itertools
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec
from mpcli import output
from mpcli.exits import Exit, exit_of
from mpcli.invocation import Invocation, command
from mpclient.errors import ClientError
from mpschema.api import BatchLine
from mpschema.envelope import Outcome
from mpschema.problems import Problem

from mpctl.server import RemoteServer

if TYPE_CHECKING:
    from mpclient.calls import Answer
    from rich.progress import Progress

_line = msgspec.json.Decoder(BatchLine)
CHUNK_LINES = 500
CHUNK_BYTES_MAX = 4 << 20
LINE_BYTES = 1_000
"""The bytes a line needs beside its payload, at most."""
KEY_CHARACTERS_MAX = 100
"""The longest key to which a line's number is added: shorter than a key may be."""
SHOWN_MAX = 20
"""Refusals told one by one; all are counted, and in the answers with --json."""


def add_batch(root: click.Group) -> None:
    """Adds `batch`."""

    @command(
        root,
        "batch",
        click.Argument(["file"], type=click.Path(exists=True, dir_okay=False, allow_dash=True)),
        click.Option(
            ["--idempotency-key"],
            metavar="KEY",
            callback=_short,
            help="Lines without a key of their own get KEY:1, KEY:2 and so on. Repeating the file under the same KEY "
            "gives the same answers, for 30 days at least.",
        ),
        examples=["mpctl batch tasks.ndjson", "generate-tasks | mpctl batch - --json > outcomes.ndjson"],
    )
    def batch(invocation: Invocation, file: str, idempotency_key: str | None) -> None:
        """Send many commands.

        Each is a JSON object on a line of FILE, or of standard input (-): {"type", "target"?, "payload"?,
        "idempotency_key"?}. They are decided in order; a refused one stops none of the others. Exit code 0 when all
        were accepted, else that of the first refusal.
        """
        from mpclient.calls import new_key

        key = idempotency_key or new_key()
        lines = keyed(read_lines(sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()), key)
        with RemoteServer.of(invocation.context, invocation.workspace) as server, _progress(len(lines)) as progress:
            bar = progress.add_task("commands", total=len(lines))
            answers: list[Answer] = []
            for chunk in chunks(lines):
                for answer in _answers(server, chunk, key, len(answers), len(lines)):
                    answers.append(answer)
                    if invocation.as_json:
                        output.print_json(answer)
                    progress.advance(bar)
        refused = [(number, each) for number, each in enumerate(answers, 1) if isinstance(each, Problem)]
        if not invocation.as_json:
            _summarize(answers, refused)
        if refused:
            click.get_current_context().exit(exit_of(refused[0][1].code))
        if len(answers) != len(lines):
            output.complain(f"{len(lines)} commands were sent, {len(answers)} were answered")
            click.get_current_context().exit(Exit.INTERNAL)


def keyed(lines: Sequence[BatchLine], key: str) -> list[BatchLine]:
    """The lines, each with a key: its own, or one of its number, so that one word is enough to ask again for all."""
    return [
        line if line.idempotency_key else msgspec.structs.replace(line, idempotency_key=f"{key}:{number}")
        for number, line in enumerate(lines, 1)
    ]


def _answers(server: RemoteServer, chunk: list[BatchLine], key: str, answered: int, total: int) -> list[Answer]:
    try:
        return server.batch(chunk)
    except ClientError as error:
        error.add_note(
            f"{answered} of {total} lines were answered. To ask again for all of them, and have none done twice: "
            f"mpctl batch --idempotency-key {key} FILE, with the same lines"
        )
        raise


def _short(ctx: click.Context, option: click.Parameter, value: str | None) -> str | None:
    if value is not None and not 0 < len(value) <= KEY_CHARACTERS_MAX:
        raise click.BadParameter(f"has 1 to {KEY_CHARACTERS_MAX} characters", ctx, option)
    return value


def chunks(lines: Sequence[BatchLine]) -> Iterator[list[BatchLine]]:
    """The lines in requests of a bounded size."""
    chunk: list[BatchLine] = []
    size = 0
    for line in lines:
        line_bytes = len(bytes(line.payload)) + LINE_BYTES
        if chunk and (len(chunk) == CHUNK_LINES or size + line_bytes > CHUNK_BYTES_MAX):
            yield chunk
            chunk, size = [], 0
        chunk.append(line)
        size += line_bytes
    if chunk:
        yield chunk


def read_lines(data: bytes) -> list[BatchLine]:
    """The commands in NDJSON; empty lines are passed over. A line that is none is a usage error: nothing is sent."""
    lines = []
    for number, line in enumerate(data.split(b"\n"), 1):
        if line.strip():
            try:
                lines.append(_line.decode(line))
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise click.UsageError(f"line {number} is no command: {error}. Nothing was sent.") from error
    return lines


def _progress(total: int) -> Progress:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    quiet = not output.err().is_terminal or total <= CHUNK_LINES
    return Progress(*columns, console=output.err(), transient=True, disable=quiet)


def _summarize(answers: Sequence[Outcome | Problem], refused: Sequence[tuple[int, Problem]]) -> None:
    reasons = Counter(problem.code for _, problem in refused)
    accepted = len(answers) - sum(reasons.values())
    again = sum(isinstance(answer, Outcome) and answer.duplicate for answer in answers)
    output.done(f"{accepted} of {len(answers)} accepted", f"{again} already recorded" if again else "")
    for number, problem in itertools.islice(refused, SHOWN_MAX):
        output.complain(f"line {number}: {problem.code}: {problem.detail}")
    if reasons:
        output.hint(", ".join(f"{count} {code}" for code, count in reasons.most_common()))
