"""TCP proxies between services and servers, that can cut every connection, go silent, or hold back a word."""

import asyncio
import contextlib
from collections.abc import Sequence
from weakref import WeakSet


class Proxy:
    """Listens on a port of its own and passes bytes on to `target_port` of this machine."""

    def __init__(self) -> None:
        self.target_port = 0
        self._connections: set[asyncio.StreamWriter] = set()
        self._accepted: WeakSet[asyncio.StreamWriter] = WeakSet()
        self._said_all: WeakSet[asyncio.StreamWriter] = WeakSet()
        self._open = asyncio.Event()
        self._open.set()
        self._word = b""
        self._said = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> int:
        """Begin to listen; returns the port."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Stop, and cut what is connected."""
        self._server.close()
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def count(self) -> int:
        """The number of connections, each with its two sides."""
        return len(self._connections) // 2

    def cut(self) -> None:
        """Cut every connection, as a network that fails would."""
        for writer in self._connections:
            writer.transport.abort()
        self._connections.clear()

    def half_close(self) -> None:
        """Tell every client that nothing more comes, and go on taking what it sends."""
        for writer in [each for each in self._connections if each in self._accepted]:
            writer.write_eof()
            self._said_all.add(writer)

    def silence(self) -> None:
        """Pass nothing on any more; connections stay open."""
        self._open.clear()

    def speak(self) -> None:
        """Pass bytes on again."""
        self._open.set()
        self._word = b""
        self._said.set()

    def hold(self, word: bytes) -> None:
        """Pass on nothing from where a word stands, until `speak`: as a server that answers, and not to that."""
        self._word = word
        self._said.clear()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            upstream_reader, upstream = await asyncio.open_connection("127.0.0.1", self.target_port)
        except OSError:
            writer.transport.abort()
            return
        self._connections |= {writer, upstream}
        self._accepted.add(writer)
        for source, sink in ((reader, upstream), (upstream_reader, writer)):
            task = asyncio.create_task(self._pump(source, sink))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, OSError):
            while data := await source.read(1 << 16):
                await self._open.wait()
                if self._word and self._word in data:
                    await self._said.wait()
                if sink not in self._said_all:
                    sink.write(data)
                    await sink.drain()
        self._connections.discard(sink)
        sink.transport.abort()


class Network:
    """The way to several servers, through a proxy for each."""

    def __init__(self, servers: int) -> None:
        self.proxies: Sequence[Proxy] = [Proxy() for _ in range(servers)]

    async def start(self) -> list[int]:
        """Begin to listen; returns the ports, in the order of `lead_to`."""
        return [await proxy.start() for proxy in self.proxies]

    def lead_to(self, ports: Sequence[int]) -> None:
        """Set the ports that the proxies pass bytes on to."""
        for proxy, port in zip(self.proxies, ports, strict=True):
            proxy.target_port = port

    def cut(self) -> None:
        """Cut every connection."""
        for proxy in self.proxies:
            proxy.cut()

    def silence(self) -> None:
        """Pass nothing on any more."""
        for proxy in self.proxies:
            proxy.silence()

    def speak(self) -> None:
        """Pass bytes on again."""
        for proxy in self.proxies:
            proxy.speak()

    async def close(self) -> None:
        """Stop, and cut what is connected."""
        for proxy in self.proxies:
            await proxy.close()
