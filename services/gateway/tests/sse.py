"""A client of server-sent events as the specification wants it: it remembers the last id and reconnects with it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from services.gateway.tests.door import Door


@dataclass
class Message:
    """One dispatched event, or (with `event` empty) a block that only moved the cursor."""

    event: str = ""
    data: Any = None
    id: str = ""


@dataclass
class Listener:
    """One connection after the other to the same stream, with what they brought."""

    door: Door
    query: dict[str, str] = field(default_factory=dict)
    last_id: str = ""
    messages: list[Message] = field(default_factory=list)
    connections: int = 0

    @property
    def events(self) -> list[Message]:
        """Domain events, in the order they came."""
        return [message for message in self.messages if message.event.startswith("mp.")]

    @property
    def seqs(self) -> list[int]:
        """Positions of the domain events."""
        return [int(message.data["seq"]) for message in self.events]

    def last(self, event: str) -> Message | None:
        """The newest message of a kind."""
        return next((message for message in reversed(self.messages) if message.event == event), None)

    async def listen_once(self) -> None:
        """One connection, until the server ends it. Raises httpx errors when it breaks."""
        headers = {"authorization": f"Bearer {self.door.credential}"}
        if self.last_id:
            headers["last-event-id"] = self.last_id
        url = f"{self.door.path}/events"
        async with self.door.http.stream("GET", url, headers=headers, params=self.query) as answer:
            if answer.status_code != 200:
                await answer.aread()
                raise httpx.HTTPStatusError(answer.text, request=answer.request, response=answer)
            self.connections += 1
            async for message in _messages(answer):
                self.last_id = message.id or self.last_id
                self.messages.append(message)

    async def listen_for_ever(self) -> None:
        """Reconnect whenever a connection ends or breaks."""
        while True:
            try:
                await self.listen_once()
            except httpx.HTTPError:
                await asyncio.sleep(0.05)


async def _messages(answer: httpx.Response) -> AsyncIterator[Message]:
    message = Message()
    async for line in answer.aiter_lines():
        name, _, value = line.partition(": ")
        if not line:
            if message != Message():
                yield message
            message = Message()
        elif name == "id":
            message.id = value
        elif name == "event":
            message.event = value
        elif name == "data":
            message.data = json.loads(value)


@asynccontextmanager
async def background(listener: Listener) -> AsyncIterator[Listener]:
    """Let a listener listen in the background, and stop it at the end."""
    task = asyncio.create_task(listener.listen_for_ever())
    try:
        yield listener
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def listening(door: Door, **query: str) -> AbstractAsyncContextManager[Listener]:
    """A new listener in the background."""
    return background(Listener(door, query))
