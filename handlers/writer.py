"""Rows into the store: pages join batches, batches go to the store's threads, acknowledgements come back to the units.

Bounded at every step: one open batch, one batch waiting per writer thread, one in each thread's hands. Whoever adds
rows while all of that is full waits, and with it the fetching.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import structlog

from ark.errors import InputDataError, ServiceDownError
from ark.rows import Row
from ark.stores import Sink
from handlers.task import Task

log = structlog.get_logger(__name__)

PATIENCE = 60.0
"""Seconds to go on trying a store that is away, before the run stops with what it has."""
FIRST_PAUSE = 0.5
LINGER = 0.2
"""Seconds an open batch waits for more rows: a slow medium does not keep its last rows back."""


@dataclass(slots=True)
class Batch:
    """Rows on their way to the store, and which unit brought how many of them, in order."""

    rows: list[Row] = field(default_factory=list)
    shares: list[tuple[Task, int]] = field(default_factory=list)
    size: int = 0

    def add(self, task: Task, rows: Sequence[Row]) -> None:
        """Append rows of one unit."""
        self.rows.extend(rows)
        self.shares.append((task, len(rows)))
        self.size += _bytes(rows)

    def halves(self) -> tuple["Batch", "Batch"]:
        """Two batches of half the rows each; every row keeps its unit."""
        middle = len(self.rows) // 2
        owners = [task for task, count in self.shares for _ in range(count)]
        first, second = Batch(), Batch()
        for index, (task, row) in enumerate(zip(owners, self.rows, strict=True)):
            (first if index < middle else second).add(task, [row])
        return first, second


def _bytes(rows: Sequence[Row]) -> int:
    return sum([len(row.value) for row in rows])


class Writer:
    """Puts the rows of one run into one table under one timestamp (ms)."""

    def __init__(
        self,
        sink: Sink,
        table: str,
        version: int,
        limits: tuple[int, int],
        *,
        stored: Callable[[Task, int], None],
        rejected: Callable[[Task, str], None],
    ) -> None:
        self._sink, self._table, self._version = sink, table, version
        self._max_rows, self._max_bytes = limits
        self._stored, self._rejected = stored, rejected
        self._open = Batch()
        self._full: asyncio.Queue[Batch] = asyncio.Queue(sink.writers)
        self._threads = ThreadPoolExecutor(sink.writers, "store")
        self._linger: asyncio.TimerHandle | None = None
        self._adding = asyncio.Lock()

    async def add(self, task: Task, rows: Sequence[Row]) -> None:
        """Take one page's rows; returns when they have a place, not when they are stored."""
        if not self._adding.locked() and self._fits(rows):
            self._open.add(task, rows)
            self._set_linger()
            return
        async with self._adding:
            await self._add(task, rows)

    async def work(self) -> None:
        """One of `sink.writers` workers: store batches until cancelled. Raises ServiceDownError past PATIENCE."""
        while True:
            batch = await self._full.get()
            await self._store(batch)
            self._full.task_done()

    async def drain(self) -> None:
        """Wait until every row that was added is stored or rejected."""
        await self._close_batch()
        await self._full.join()

    def close(self) -> None:
        """Let go of the threads; a call that hangs is left to its own time-out."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _add(self, task: Task, rows: Sequence[Row]) -> None:
        position = 0
        while position < len(rows):
            room = self._room(rows, position)
            self._open.add(task, rows[position : position + room])
            position += room
            if len(self._open.rows) >= self._max_rows or self._open.size >= self._max_bytes:
                await self._close_batch()
        self._set_linger()

    def _fits(self, rows: Sequence[Row]) -> bool:
        """The open batch takes these rows and stays open: nothing to wait for."""
        return len(self._open.rows) + len(rows) < self._max_rows and self._open.size + _bytes(rows) < self._max_bytes

    def _set_linger(self) -> None:
        if self._open.rows and self._linger is None:
            self._linger = asyncio.get_running_loop().call_later(LINGER, self._send_lingering)

    def _room(self, rows: Sequence[Row], position: int) -> int:
        """How many rows from `position` on the open batch takes; at least one, so that a large row passes alone."""
        room, size = 0, self._open.size
        most = min(len(rows) - position, self._max_rows - len(self._open.rows))
        while room < most and (room == 0 or size < self._max_bytes):
            size += len(rows[position + room].value)
            room += 1
        return room

    async def _close_batch(self) -> None:
        if self._linger is not None:
            self._linger.cancel()
            self._linger = None
        if self._open.rows:
            batch, self._open = self._open, Batch()
            await self._full.put(batch)

    def _send_lingering(self) -> None:
        self._linger = None
        if self._open.rows and not self._full.full():
            batch, self._open = self._open, Batch()
            self._full.put_nowait(batch)
        elif self._open.rows:
            self._linger = asyncio.get_running_loop().call_later(LINGER, self._send_lingering)

    async def _store(self, batch: Batch) -> None:
        """Store a batch; where the store refuses a row for good, find it by halving: the others are stored."""
        try:
            await self._put(batch.rows)
        except InputDataError as error:
            if len(batch.rows) == 1:
                self._rejected(batch.shares[0][0], f"the store refuses a row: {error}")
                return
            for half in batch.halves():
                await self._store(half)
            return
        for task, count in batch.shares:
            self._stored(task, count)

    async def _put(self, rows: Sequence[Row]) -> None:
        """Put rows, again and again while the store is away: the same bytes under the same timestamp."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + PATIENCE
        pause = FIRST_PAUSE
        while True:
            try:
                await loop.run_in_executor(self._threads, self._sink.put, self._table, rows, self._version)
            except ServiceDownError as error:
                if loop.time() + pause > deadline:
                    raise
                log.warning("store away", error=str(error), again_in_seconds=pause)
                await asyncio.sleep(pause)
                pause = min(pause * 2, PATIENCE / 6)
            else:
                return
