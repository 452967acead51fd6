"""Runs the demo: the workspace, the director, the lines of the story, and how things stand at the end."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from mpcli import output
from mpcli.invocation import Invocation
from mpcli.lineage import tree
from mpclient.client import AsyncClient
from mpclient.errors import Rejected
from mpschema.cloudevents import CloudEvent
from mpschema.rejections import Code
from mpschema.session.rows import SessionRow
from mpschema.task import TaskState
from mpschema.task.rows import TaskRow
from rich.table import Table
from rich.text import Text

from mpdemo.director import DemoFailed, Director, Plan
from mpdemo.picture import CLOSED
from mpdemo.repository import Repository
from mpdemo.story import Story, exits


async def perform(
    invocation: Invocation,
    demo_workspace: str,
    *,
    repo: Path,
    workers: int,
    kill_worker: bool,
    tasks: int,
    lease_seconds: int,
    check: str | None,
) -> None:
    """The whole demo. Raises `GitFailed`, `DemoFailed`, `TimeoutError`, or what the client raises."""
    repository = Repository.open(repo)
    findings = repository.findings(tasks)
    if not findings:
        raise DemoFailed(f"{repository.root} holds nothing to work on: no marked comment, no source file")
    context = invocation.context
    workspace = context.workspace or demo_workspace
    plan = Plan(repository, findings, context.url, workspace, workers, kill_worker, lease_seconds, check)
    story = Story()

    def tell(event: CloudEvent) -> None:
        line = story.tell(event)
        if invocation.as_json:
            output.print_json(event)
        elif line is not None:
            output.out().print(line, soft_wrap=True)

    async with AsyncClient(context.url, context.token, workspace) as client:
        if context.workspace is None:
            await _ensure_workspace(client, workspace)
        with repository.worktrees_folder() as folder, TemporaryDirectory(prefix="mpctl-demo-logs-") as logs:
            director = Director(client, plan, folder, Path(logs), tell)
            await director.run()
        await _show_end(client, director, story, invocation)


async def _ensure_workspace(client: AsyncClient, workspace: str) -> None:
    try:
        await client.workspaces.create(id=workspace, name="Demo")
    except Rejected as refusal:
        if refusal.code != Code.ALREADY_EXISTS:
            raise


async def _show_end(client: AsyncClient, director: Director, story: Story, invocation: Invocation) -> None:
    """Show the final state, asked of the read models."""
    scene, after = director.scene, director.last_seq
    tasks = [row async for row in client.tasks.iterate(project_id=scene.project, after=after)]
    lead = await client.sessions.get(scene.lead, after=after)
    below = [row async for row in client.sessions.iterate_descendants(scene.lead, after=after)]
    left = [task.id for task in tasks if task.state not in CLOSED]
    if invocation.as_json:
        output.print_json({"summary": _summary(tasks, lead, below, story)})
    else:
        output.out().print()
        _show_tasks(tasks, story)
        output.out().print()
        output.out().print(tree(lead, below), soft_wrap=True)
        where = f" -w {client.workspace}" if invocation.context.workspace is None else ""
        closer = (f"board show {scene.board}", f"channel messages {scene.channel}")
        output.hint("\nlook closer: " + " · ".join(f"mpctl {words}{where}" for words in closer))
    if left:
        raise DemoFailed(f"{len(left)} tasks are still open: {', '.join(left)}")


def _summary(tasks: list[TaskRow], lead: SessionRow, below: list[SessionRow], story: Story) -> dict[str, object]:
    return {
        "project": lead.project_id,
        "lead": lead.id,
        "done": sum(task.state is TaskState.DONE for task in tasks),
        "canceled": sum(task.state is TaskState.CANCELED for task in tasks),
        "open": sum(task.state not in CLOSED for task in tasks),
        "sessions": {row.id: row.state.value for row in [lead, *below]},
        "events": dict(story.counts),
    }


def _show_tasks(tasks: list[TaskRow], story: Story) -> None:
    header = ("task", "state", "claims", "handed in by", "evidence")
    lines = [
        (
            story.title(task.id),
            task.state.value,
            str(task.fence),
            story.workers.get(task.id, "-"),
            exits(task.evidence) or "-",
        )
        for task in tasks
    ]
    if not output.out().is_terminal:
        return output.print_aligned([header, *lines])
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in header:
        table.add_column(name, overflow="fold")
    for title, state, *rest in lines:
        table.add_row(
            Text(output.safe(title)), output.styled("state", state), *(Text(output.safe(each)) for each in rest)
        )
    output.out().print(table)
    return None
