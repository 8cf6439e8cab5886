"""A TCP proxy on loopback that breaks on command: what a network, a gateway or its machine does to a client.

    with Proxy("127.0.0.1", 6379) as proxy:
        client = redis.Redis(port=proxy.port)
        with proxy.toxic(Latency(0.5, Way.DOWN)):
            client.ping()
        proxy.add(CutMessage(3, Way.DOWN, whole=False))

The toxics have toxiproxy's names, but for `CutMessage`. They take hold of connections that live, let go of them when
they are removed, and work one behind the other in the order in which they were added.
"""

import asyncio
import socket
import struct
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from enum import Flag, auto
from random import Random
from types import TracebackType
from typing import Any, Self

RESET = struct.pack("ii", 1, 0)
"""SO_LINGER of zero: close() sends a reset instead of an orderly end."""
PIECE = 65536
"""The most bytes that are read at once."""
TICK = 0.05
"""Seconds between two pieces of a narrow band."""

Send = Callable[[bytes], Awaitable[None]]


class Way(Flag):
    """Towards the server, or back."""

    UP = auto()
    DOWN = auto()
    BOTH = UP | DOWN


class Link:
    """One connection through the proxy; `turn` is who has spoken last."""

    def __init__(self, client: socket.socket, task: "asyncio.Task[Any]") -> None:
        self.client = client
        self.server = socket.socket()
        self.turn: Way | None = None
        self._task = task
        self._reset = False

    def cut(self, *, reset: bool = False) -> None:
        """End it, orderly or with a reset of both sides. Nothing passes any more once the caller waits for anything."""
        self._reset = reset
        self._task.cancel()

    async def end(self, *, reset: bool = False) -> None:
        """End it from within: never returns."""
        self.cut(reset=reset)
        await asyncio.Event().wait()

    def close(self) -> None:
        for one in (self.client, self.server):
            with suppress(OSError):  # the other side has gone first
                if self._reset:
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                else:
                    one.shutdown(socket.SHUT_RDWR)
            one.close()


class Toxic:
    """What happens to the pieces of a stream. This one does nothing; it is for one use in one proxy."""

    def __init__(self, way: Way = Way.BOTH) -> None:
        self.way = way
        self.healed = asyncio.Event()

    def begin(self, link: Link) -> None:
        """A connection begins, or this toxic for one that lives."""

    async def message(self, link: Link, way: Way) -> None:
        """The other side than before begins to speak: pieces of one side make one message."""

    async def pass_on(self, link: Link, piece: bytes, send: Send) -> None:
        """A piece of one of our ways has come."""
        await send(piece)

    async def close(self) -> None:
        """One of our ways has ended; the other side hears of it when this returns."""

    async def rest(self, seconds: float | None = None) -> None:
        """Wait so long, or until this toxic is removed."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.healed.wait()


class Latency(Toxic):
    """Each piece is held back for so many seconds, more or less by up to `jitter`."""

    def __init__(self, seconds: float, way: Way = Way.BOTH, *, jitter: float = 0, seed: int = 0) -> None:
        super().__init__(way)
        self._seconds, self._jitter, self._chance = seconds, jitter, Random(seed)

    async def pass_on(self, link: Link, piece: bytes, send: Send) -> None:
        await self.rest(max(0, self._seconds + self._chance.uniform(-self._jitter, self._jitter)))
        await send(piece)


class Bandwidth(Toxic):
    """At most so many bytes in a second pass on each connection."""

    def __init__(self, rate: int, way: Way = Way.BOTH) -> None:
        super().__init__(way)
        self._rate = rate

    async def pass_on(self, link: Link, piece: bytes, send: Send) -> None:
        for part in _sliced(piece, max(1, int(self._rate * TICK))):
            await self.rest(len(part) / self._rate)
            await send(part)


class Slicer(Toxic):
    """A piece goes on in parts of `size` bytes, `seconds` apart."""

    def __init__(self, size: int, seconds: float = 0, way: Way = Way.BOTH) -> None:
        super().__init__(way)
        self._size, self._seconds = size, seconds

    async def pass_on(self, link: Link, piece: bytes, send: Send) -> None:
        for part in _sliced(piece, self._size):
            await send(part)
            await self.rest(self._seconds)


class SlowClose(Toxic):
    """The other side hears of an end only after so many seconds."""

    def __init__(self, seconds: float, way: Way = Way.BOTH) -> None:
        super().__init__(way)
        self._seconds = seconds

    async def close(self) -> None:
        await self.rest(self._seconds)


class Timeout(Toxic):
    """A black hole: nothing passes. After `seconds` (None: never) the connection ends; removed, what came goes on."""

    def __init__(self, seconds: float | None = None, way: Way = Way.BOTH) -> None:
        super().__init__(way)
        self._seconds = seconds

    def begin(self, link: Link) -> None:
        if self._seconds is not None:
            _after(self._seconds, self, link.cut)

    async def pass_on(self, link: Link, piece: bytes, send: Send) -> None:
        await self.rest()
        await send(piece)

    async def close(self) -> None:
        await self.rest()


class ResetPeer(Toxic):
    """Every connection, those to come as well, is reset after so many seconds."""

    def __init__(self, seconds: float = 0) -> None:
        super().__init__()
        self._seconds = seconds

    def begin(self, link: Link) -> None:
        if self._seconds:
            _after(self._seconds, self, lambda: link.cut(reset=True))
        else:
            link.cut(reset=True)


class LimitData(Toxic):
    """A connection ends once so many bytes have passed since it met this toxic; `times` connections do (None: all)."""

    def __init__(self, limit: int, way: Way, *, times: int | None = 1) -> None:
        super().__init__(way)
        self._limit, self._times = limit, times
        self._passed: Counter[Link] = Counter()

    async def pass_on(self, link: Link, piece: bytes, send: Send) -> None:
        left = self._limit - self._passed[link]
        if self._times == 0 or len(piece) < left:
            self._passed[link] += len(piece)
            await send(piece)
            return
        self._times = self._times and self._times - 1
        await send(piece[:left])
        await link.end()


class CutMessage(Toxic):
    """The connection on which the N-th message of a way is passed ends: requests are UP, answers DOWN.

    It ends behind the last byte of the message, before anything passes that the other side says then; or else (`whole`
    False) before the last byte of its first piece. Counted are the messages of all connections since this toxic was
    added, from 1. So `CutMessage(n, Way.UP)` has the server do what it was asked, and loses its answer, and
    `CutMessage(n, Way.DOWN)` passes the answer, and loses the next request. `every`: each N-th message.
    """

    def __init__(self, number: int, way: Way, *, whole: bool = True, every: bool = False) -> None:
        super().__init__(way)
        self._number, self._whole, self._every = number, whole, every
        self._count = 0
        self._doomed: set[Link] = set()

    async def message(self, link: Link, way: Way) -> None:
        if way is not self.way:
            if link in self._doomed and self._whole:
                await link.end()
            return
        self._count += 1
        if self._count == self._number or (self._every and self._count % self._number == 0):
            self._doomed.add(link)

    async def pass_on(self, link: Link, piece: bytes, send: Send) -> None:
        if link in self._doomed and not self._whole:
            await send(piece[:-1])
            await link.end()
        await send(piece)


class Rewrite(Toxic):
    """Puts bytes in the place of others, as many, wherever they stand in one piece."""

    def __init__(self, old: bytes, new: bytes, way: Way) -> None:
        super().__init__(way)
        self._old, self._new = old, new

    async def pass_on(self, link: Link, piece: bytes, send: Send) -> None:
        await send(piece.replace(self._old, self._new))


class Proxy:
    """Forwards what comes to `port` of loopback to one address.

    `connections`: how many there were. `sent`: all that clients have sent, passed on or not.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        self.port = self._listener.getsockname()[1]
        self.connections = 0
        self.sent = bytearray()
        self._toxics: list[Toxic] = []
        self._links: set[Link] = set()

    def __enter__(self) -> Self:
        self._loop = asyncio.SelectorEventLoop()
        self._accepting = self._loop.create_task(self._accept())
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._loop.call_soon_threadsafe(self._accepting.cancel)
        self._thread.join()
        self._loop.close()
        self._listener.close()

    def add(self, toxic: Toxic) -> None:
        """From now on, for all connections. Returns when it holds."""
        self._do(self._add, toxic)

    def remove(self, toxic: Toxic) -> None:
        """What it held back passes. Nothing happens if it is not there any more."""
        self._do(self._remove, toxic)

    @contextmanager
    def toxic(self, toxic: Toxic) -> Iterator[None]:
        """As long as the block lasts."""
        self.add(toxic)
        try:
            yield
        finally:
            self.remove(toxic)

    def drop(self) -> None:
        """End every connection there is, orderly, as a server that stops does."""
        self._do(self._drop)

    def _do(self, work: Callable[..., None], *args: object) -> None:
        async def done() -> None:
            work(*args)

        asyncio.run_coroutine_threadsafe(done(), self._loop).result()

    def _add(self, toxic: Toxic) -> None:
        self._toxics.append(toxic)
        for link in self._links:
            toxic.begin(link)

    def _remove(self, toxic: Toxic) -> None:
        with suppress(ValueError):
            self._toxics.remove(toxic)
        toxic.healed.set()

    def _drop(self) -> None:
        for link in self._links:
            link.cut()

    def _run(self) -> None:
        with suppress(asyncio.CancelledError):
            self._loop.run_until_complete(self._accepting)

    async def _accept(self) -> None:
        async with asyncio.TaskGroup() as links:
            while True:
                client, _ = await self._loop.sock_accept(self._listener)
                self.connections += 1
                links.create_task(self._serve(client))

    async def _serve(self, client: socket.socket) -> None:
        task = asyncio.current_task()
        assert task
        link = Link(client, task)
        self._links.add(link)
        try:
            for toxic in self._toxics:
                toxic.begin(link)
            for one in (link.client, link.server):
                one.setblocking(False)
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await self._loop.sock_connect(link.server, self._target)
            async with asyncio.TaskGroup() as pumps:
                pumps.create_task(self._pump(link, Way.UP, link.client, link.server))
                pumps.create_task(self._pump(link, Way.DOWN, link.server, link.client))
        except* OSError:
            link.cut(reset=True)
        finally:
            self._links.remove(link)
            link.close()

    async def _pump(self, link: Link, way: Way, source: socket.socket, target: socket.socket) -> None:
        """Until the source has ended. An OSError of either side ends the whole connection."""
        while piece := await self._loop.sock_recv(source, PIECE):
            if way is Way.UP:
                self.sent += piece
            if link.turn is not way:
                link.turn = way
                for toxic in self._toxics.copy():
                    await toxic.message(link, way)
            await self._pass(link, piece, target, self._on(way))
        for toxic in self._on(way):
            await toxic.close()
        target.shutdown(socket.SHUT_WR)

    def _on(self, way: Way) -> list[Toxic]:
        return [toxic for toxic in self._toxics if way & toxic.way]

    async def _pass(self, link: Link, piece: bytes, target: socket.socket, toxics: list[Toxic]) -> None:
        if not toxics:
            await self._loop.sock_sendall(target, piece)
            return
        first, *behind = toxics
        await first.pass_on(link, piece, lambda part: self._pass(link, part, target, behind))


@contextmanager
def before_kafka(broker: str) -> Iterator[Proxy]:
    """A proxy before `host:port`, which its clients do not leave: the broker's answers name the proxy's port."""
    host, _, port = broker.partition(":")
    with Proxy(host, int(port)) as proxy:
        old, new = (host.encode() + struct.pack(">i", number) for number in (int(port), proxy.port))
        proxy.add(Rewrite(old, new, Way.DOWN))
        yield proxy


def _sliced(piece: bytes, size: int) -> Iterator[bytes]:
    return (piece[start : start + size] for start in range(0, len(piece), size))


def _after(seconds: float, toxic: Toxic, cut: Callable[[], None]) -> None:
    asyncio.get_running_loop().call_later(seconds, lambda: toxic.healed.is_set() or cut())
