"""Shared parts of the operators' tools' tests: a real log with checkpoints, `mpctl` as a process, doctored copies."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mpbus.accounts import NOBODYS_ACCOUNT, STREAMS_ACCOUNT
from mpbus.connect import connect
from mpbus.options import NatsOptions
from mpbus.producer import CommandProducer
from mpbus.reader import HASH_HEADER, Commit
from mpbus.streams import provision
from mpd.servers import NatsServer
from mpd.stack import Stack
from mpschema import codec
from mpservice.rights import OPERATOR
from nats.aio.client import Client

from tests.support.cluster import read_log
from tests.support.load import Load
from tests.support.users import GATEWAY

PROVED, USAGE, REFUSED, DISPROVED = 0, 2, 3, 8


@dataclass(frozen=True)
class Ran:
    """A finished run of `mpctl`."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """Its answer."""
        answer: dict[str, Any] = json.loads(self.out)
        return answer

    @property
    def finding(self) -> dict[str, Any]:
        """The fault that it found."""
        assert self.code == DISPROVED, f"exit code {self.code}: {self.out}{self.err}"
        found: dict[str, Any] = self.json["finding"]
        return found


def mpctl(*arguments: str | Path, home: Path, patch: str = "", **settings: str) -> Ran:
    """Run `mpctl` against the servers of `home`, or others where `settings` say so. `patch` is code to run before."""
    code = f"{patch}\nfrom mpctl.main import main\nmain()"
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MP_", "MPCTL_"))}
    environment |= {"MP_HOME": str(home), **settings}
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode != 1, f"mpctl broke:\n{done.stdout}{done.stderr}"
    return Ran(done.returncode, done.stdout, done.stderr)


class Log:
    """A log that a real kernel wrote under load, checkpoints and all, and its copy in the archive. Nobody writes on."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.home = stack.folder

    def mpctl(self, *arguments: str | Path, patch: str = "", **settings: str) -> Ran:
        """Run `mpctl` against it."""
        return mpctl(*arguments, home=self.home, patch=patch, **settings)

    def mpctl_without_archive(self, url: str, *arguments: str | Path, patch: str = "") -> Ran:
        """Run `mpctl` against another server of streams, knowing the public key and no archive."""
        home = self.home / "elsewhere"
        home.mkdir(exist_ok=True)
        known = {"nats_url": url, "public_key_file": str(self.stack.keys.public_key_file)}
        (home / "operator.json").write_text(json.dumps(known))
        return mpctl(*arguments, home=home, patch=patch)

    def commits(self) -> list[Commit]:
        """All of it."""
        commits: list[Commit] = on_bus(self.stack.bus(OPERATOR), lambda nc: read_log(nc, self.stack.shard))
        return commits

    def copy_of_nats(self, folder: Path) -> NatsServer:
        """A stopped server that asks nobody who they are, with its own copy of the streams' files."""
        self.stack.nats.stop()
        try:
            store = Path("jetstream", "jetstream")  # The server adds the second.
            shutil.copytree(self.stack.nats.folder / store / STREAMS_ACCOUNT, folder / store / NOBODYS_ACCOUNT)
        finally:
            self.stack.nats.start()
        return NatsServer(folder)


def on_bus(url: str | NatsOptions, action: Callable[[Client], Awaitable[Any]]) -> Any:
    """Do something with a connection of its own."""

    async def run() -> Any:
        nc = await connect(url, "test", writer=True)
        try:
            return await action(nc)
        finally:
            await nc.close()

    return asyncio.run(run())


def put_load_on(stack: Stack, commands: int, *, url: str = "", workspace: str = "acme") -> None:
    """A workspace and real commands in it, each answered."""

    async def run(nc: Client) -> None:
        producer = CommandProducer(nc, stack.shard)
        await producer.start()
        load = Load(producer, workspace)
        await load.prepare()
        await load.run(clients=24, commands=commands)
        await producer.close()

    on_bus(url or stack.bus(GATEWAY), run)


def write_log(url: str, shard: str, datas: list[bytes], subject: str) -> None:
    """A log made of these commits, chained anew: as somebody would who can write to the stream."""

    async def run(nc: Client) -> None:
        await provision(nc, shard)
        js, previous = nc.jetstream(timeout=10), codec.GENESIS_HASH
        for data in datas:
            header, body = codec.split_commit(data)
            linked = codec.encode(_with(header, previous)) + b"\n" + body
            previous = codec.commit_hash(previous, subject, linked)
            await js.publish(subject, linked, headers={HASH_HEADER: previous})

    on_bus(url, run)


def _with(header: Any, previous_hash: str) -> Any:
    fields = {name: getattr(header, name) for name in header.__struct_fields__}
    return type(header)(**fields | {"previous_hash": previous_hash})


def flip(path: Path, at: int) -> None:
    """Change one bit of one byte of a file."""
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(bytes(data))
