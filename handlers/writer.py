"""Rows into the store: pages join batches, batches go to the store's threads, acknowledgements come back to the units.

Bounded at every step: one open batch, one batch waiting per writer thread, one in each thread's hands. Whoever adds
rows while all of that is full waits, and with it the fetching.

The order of truth: the store acknowledges a batch, then the units that it completes are settled in the ledger, then
its worker takes the next one. Whatever ends the process, at most one batch per worker is stored and not yet settled.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import structlog

from ark.errors import InputDataError, ServiceDownError
from ark.rows import Row
from ark.stores import RowsRefusedError, Sink, UnclearError
from handlers.task import Task

log = structlog.get_logger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 10.0
"""Seconds between two tries of a batch while the store is away; doubled for each further one."""
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
        first, second = Batch(), Batch()
        for index, (task, row) in enumerate(self.owned()):
            (first if index < middle else second).add(task, [row])
        return first, second

    def owned(self) -> Iterator[tuple[Task, Row]]:
        """Every row with its unit."""
        owners = (task for task, count in self.shares for _ in range(count))
        return zip(owners, self.rows, strict=True)


def _bytes(rows: Sequence[Row]) -> int:
    return sum([len(row.value) for row in rows])


class Writer:
    """Puts the rows of one run into one table under one timestamp (ms).

    `stored` and `rejected` hear what becomes of every row; `settle` makes durable what they have settled. `patience`
    is how many seconds to go on trying a batch while the store is away.
    """

    def __init__(
        self,
        sink: Sink,
        table: str,
        version: int,
        limits: tuple[int, int],
        *,
        patience: float,
        stored: Callable[[Task, int], None],
        rejected: Callable[[Task, str], None],
        settle: Callable[[], Awaitable[None]],
    ) -> None:
        self._sink, self._table, self._version = sink, table, version
        self._max_rows, self._max_bytes = limits
        self._patience = patience
        self._stored, self._rejected, self._settle = stored, rejected, settle
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
        """One of `sink.writers` workers: store batches until cancelled.

        Raises ServiceDownError when its patience is at an end; what it could store by then is settled.
        """
        while True:
            batch = await self._full.get()
            try:
                await self._store(batch, self._now() + self._patience)
            finally:
                await self._settle()
            self._full.task_done()

    async def drain(self) -> None:
        """Wait until every row that was added is stored or rejected, and the ledger knows."""
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

    async def _store(self, batch: Batch, deadline: float) -> None:
        """Store a batch; where the store refuses a row for good, find it by halving: the others are stored."""
        try:
            await self._put(batch.rows, deadline)
        except RowsRefusedError as error:
            self._sort(batch, error.reasons)
        except (InputDataError, UnclearError) as error:
            if isinstance(error, UnclearError) and self._now() > deadline + self._patience:
                raise  # so long a search finds no row that is at fault: it is the store
            if len(batch.rows) > 1:
                await self._halve(batch, deadline)
            else:
                self._rejected(batch.shares[0][0], f"the store refuses a row: {error}")
        else:
            for task, count in batch.shares:
                self._stored(task, count)

    async def _halve(self, batch: Batch, deadline: float) -> None:
        """Store one half, and the other whatever becomes of the first."""
        down = None
        for half in batch.halves():
            try:
                await self._store(half, deadline)
            except ServiceDownError as error:
                if self._now() > deadline + self._patience:
                    raise
                down = error
        if down is not None:
            raise down

    def _sort(self, batch: Batch, reasons: Mapping[bytes, str]) -> None:
        """Tell the rows that are not stored from those that are."""
        for task, row in batch.owned():
            if row.key in reasons:
                self._rejected(task, reasons[row.key])
            else:
                self._stored(task, 1)

    async def _put(self, rows: Sequence[Row], deadline: float) -> None:
        """Put rows, again and again while the store is away: the same bytes under the same timestamp."""
        loop = asyncio.get_running_loop()
        pause = FIRST_PAUSE
        while True:
            try:
                await loop.run_in_executor(self._threads, self._sink.put, self._table, rows, self._version)
            except ServiceDownError as error:
                if self._now() + pause > deadline:
                    raise
                log.warning("store away", error=str(error), again_in_seconds=pause)
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE)
            else:
                return

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
