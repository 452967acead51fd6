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
from mpschema.api import BatchLine
from mpschema.envelope import Outcome
from mpschema.problems import Problem

from mpclient.cli import output
from mpclient.cli.exits import Exit, exit_of
from mpclient.cli.invocation import Invocation, command

if TYPE_CHECKING:
    from rich.progress import Progress
from mpclient.cli.server import Server

_line = msgspec.json.Decoder(BatchLine)
CHUNK_LINES = 500
CHUNK_BYTES_MAX = 4 << 20
LINE_BYTES = 1_000
"""What a line needs beside its payload, at most."""
SHOWN_MAX = 20
"""Refusals told one by one; all are counted, and in the answers with --json."""


def add_batch(root: click.Group) -> None:
    """Adds `batch`."""

    @command(
        root,
        "batch",
        click.Argument(["file"], type=click.Path(exists=True, dir_okay=False, allow_dash=True)),
        examples=["mpctl batch tasks.ndjson", "generate-tasks | mpctl batch - --json > outcomes.ndjson"],
    )
    def batch(invocation: Invocation, file: str) -> None:
        """Send many commands.

        Each is a JSON object on a line: {"type", "target"?, "payload"?, "idempotency_key"?}. They are decided in
        order; a refused one stops none of the others. Exit code 0 when all were accepted, else that of the first
        refusal.
        """
        lines = read_lines(sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes())
        with Server.of(invocation.context, invocation.workspace) as server, _progress(len(lines)) as progress:
            bar = progress.add_task("commands", total=len(lines))
            answers = []
            for chunk in chunks(lines):
                for answer in server.batch(chunk):
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
