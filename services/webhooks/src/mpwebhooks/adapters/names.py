"""Looks up the names of endpoints, so that a name server that never answers keeps nobody but its own webhooks waiting.

The system's lookup cannot be cancelled: it ends when it likes. So it runs in threads of our own, of which there are so
many and no more, a workspace has a share of them, and nobody waits longer than a deadline. The threads do not keep the
process from its end.
"""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable
from weakref import WeakValueDictionary

import httpx

LOOKUPS_MAX = 128
LOOKUPS_OF_WORKSPACE_MAX = 16
LOOKUP_SECONDS_MAX = 5.0
_Addresses = tuple[str, ...]
_Name = tuple[str, str, int]


class Names:
    """The addresses of names, for every webhook of one process."""

    def __init__(self, seconds_max: float = LOOKUP_SECONDS_MAX) -> None:
        self._seconds_max = seconds_max
        self._flying: dict[_Name, asyncio.Task[_Addresses]] = {}
        self._free = asyncio.Semaphore(LOOKUPS_MAX)
        self._shares: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    async def addresses(self, workspace_id: str, host: str, port: int) -> _Addresses:
        """Every address of a host, at least one. Raises `httpx.ConnectError`, `httpx.ConnectTimeout`."""
        with contextlib.suppress(OSError, UnicodeError):
            return _found(host, port, socket.AI_NUMERICHOST)
        name = (workspace_id, host, port)
        try:
            async with asyncio.timeout(self._seconds_max):
                # Not cancelled with who waits for it: the thread goes on, and its place is free when it ends.
                return await asyncio.shield(self._lookup(name))
        except TimeoutError as error:
            raise httpx.ConnectTimeout(f"the name {host} was not found within {self._seconds_max:g} s") from error
        except (OSError, UnicodeError) as error:
            raise httpx.ConnectError(f"the name {host} is not known") from error

    def _lookup(self, name: _Name) -> "asyncio.Task[_Addresses]":
        """The lookup of a name that is under way, or a new one."""
        flying = self._flying.get(name)
        if flying is None:
            workspace_id, host, _ = name
            share = self._shares.setdefault(workspace_id, asyncio.Semaphore(LOOKUPS_OF_WORKSPACE_MAX))
            flying = asyncio.create_task(self._in_turn(share, name), name=f"lookup {host}")
            flying.add_done_callback(lambda done: self._landed(name, done))
            self._flying[name] = flying
        return flying

    async def _in_turn(self, share: asyncio.Semaphore, name: _Name) -> _Addresses:
        async with share, self._free:
            return await _in_a_thread(lambda: _found(*name[1:]))

    def _landed(self, name: _Name, done: "asyncio.Task[_Addresses]") -> None:
        del self._flying[name]
        if not done.cancelled():
            done.exception()  # Looked at here, for where nobody waits any more.


def _found(host: str, port: int, flags: int = 0) -> _Addresses:
    return tuple(str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags))


async def _in_a_thread(ask: Callable[[], _Addresses]) -> _Addresses:
    """The answer of what blocks, from a thread that no shutdown waits for."""
    loop = asyncio.get_running_loop()
    told: asyncio.Future[_Addresses] = loop.create_future()

    def answer(addresses: _Addresses | None, error: Exception | None) -> None:
        if told.done():
            return
        if addresses is not None:
            told.set_result(addresses)
        else:
            told.set_exception(error or OSError("no address"))

    def run() -> None:
        addresses, failed = None, None
        try:
            addresses = ask()
        except (OSError, UnicodeError) as error:
            failed = error
        with contextlib.suppress(RuntimeError):  # The loop is closed: nobody is there to be told.
            loop.call_soon_threadsafe(answer, addresses, failed)

    threading.Thread(target=run, name="lookup", daemon=True).start()
    return await told
