"""Followers of the events: each must see every event once, in order, and never an older one again."""

import asyncio
import contextlib
from typing import Protocol

import httpx
from httpx_sse import EventSource, SSEError
from mpclient.client import AsyncClient
from mpclient.errors import ClientError

_PAUSE_SECONDS = 0.1
_SILENCE_SECONDS = 20.0


class Watcher(Protocol):
    """Someone who follows a workspace's events from the start."""

    name: str
    seen: list[int]
    """Positions, as they came."""

    async def watch(self) -> None:
        """Until cancelled."""
        ...


class SdkWatcher:
    """Follows as a program would: through the SDK, which resumes by itself."""

    name = "the SDK"

    def __init__(self, client: AsyncClient) -> None:
        self.seen: list[int] = []
        self._client = client
        self._epoch = 0

    async def watch(self) -> None:
        """Until cancelled."""
        while True:
            after = f"{self._epoch}:{self.seen[-1]}" if self.seen else "0:0"
            with contextlib.suppress(ClientError):
                async for event in self._client.events(after=after):
                    self._epoch = event.epoch
                    self.seen.append(event.seq)


class RawWatcher:
    """Takes what comes over the wire as it is, resumes by `Last-Event-ID`, and forgives nothing."""

    name = "the wire"

    def __init__(self, url: str, key: str, workspace: str) -> None:
        self.seen: list[int] = []
        self._url = f"{url}/v1/workspaces/{workspace}/events"
        self._key = key
        self._last_id = "0:0"

    async def watch(self) -> None:
        """Until cancelled."""
        limits = httpx.Timeout(5, read=_SILENCE_SECONDS)
        async with httpx.AsyncClient(timeout=limits) as client:
            while True:
                with contextlib.suppress(httpx.HTTPError, SSEError):
                    await self._one_connection(client)
                await asyncio.sleep(_PAUSE_SECONDS)

    async def _one_connection(self, client: httpx.AsyncClient) -> None:
        headers = {"Authorization": f"Bearer {self._key}", "Last-Event-ID": self._last_id}
        async with client.stream("GET", self._url, headers=headers) as response:
            response.raise_for_status()
            async for sse in EventSource(response).aiter_sse():
                assert sse.event != "resync", f"a whole log needs no new beginning: {sse.data}"
                if sse.data and sse.event != "bye":
                    self._take(sse.id)

    def _take(self, event_id: str) -> None:
        epoch, seq = (int(part) for part in event_id.split(":"))
        last_epoch, last_seq = (int(part) for part in self._last_id.split(":"))
        assert epoch >= last_epoch, f"event {event_id} came after {self._last_id}"
        assert seq > last_seq, f"event {event_id} came after {self._last_id}"
        self._last_id = event_id
        self.seen.append(seq)
