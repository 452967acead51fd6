"""The argument of an agent's program at its start: its session and its work. Its key comes by the environment."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress

import msgspec
from mpclient.client import AsyncClient

TOKEN_VARIABLE = "MPCTL_TOKEN"  # noqa: S105 - the name of a variable


class Assignment(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One agent's session, and where it works. Given as JSON, the only argument of the program."""

    url: str
    workspace: str
    session: str
    project: str
    channel: str
    position: str
    """`EPOCH:SEQ`: whatever the agent needs to know happened after it."""
    repository: str = ""
    commit: str = ""
    folder: str = ""
    """The folder of its worktrees."""
    paths: dict[str, str] = {}
    """The file of each task, by the task's id."""
    ttl_seconds: int = 5
    check: str | None = None
    hangs: bool = False
    """True if it stops half-way through its first task, as a program with a bug does."""
    number: int = 1
    """The number of this worker; workers begin at different ends of the list."""
    workers: int = 1
    """The number of workers the lead spawns."""

    @property
    def text(self) -> str:
        """The argument of the program."""
        return msgspec.json.encode(self).decode()


def run_agent(program: Callable[[AsyncClient, Assignment], Awaitable[None]]) -> None:
    """Run the program of an agent with its own client, for as long as the parent process holds our standard input."""
    job = msgspec.json.decode(sys.argv[1], type=Assignment)
    asyncio.run(_run(program, job, os.environ.pop(TOKEN_VARIABLE)))


async def _run(program: Callable[[AsyncClient, Assignment], Awaitable[None]], job: Assignment, token: str) -> None:
    async with AsyncClient(job.url, token=token, workspace=job.workspace) as client:
        work = asyncio.ensure_future(program(client, job))
        orphaned = asyncio.create_task(_end_of_input())
        await asyncio.wait({work, orphaned}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            work.cancel()
        orphaned.cancel()
        with suppress(asyncio.CancelledError):
            await work


async def _end_of_input() -> None:
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin)
    await reader.read()
