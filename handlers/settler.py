"""Results into the ledger: gathered, then written many at a time.

Whoever stores rows flushes what they have settled (handlers.writer); the timer is for units without rows.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from ark.ledger import UnitResult

EVERY = 0.5
"""Seconds between two writes at most."""
CHUNK = 500
TOO_MANY = 10 * CHUNK
"""With so many results unwritten, fetching waits for the ledger."""


class Settler:
    """Takes the results of one run's units; `write` returns when they are durable."""

    def __init__(self, write: Callable[[Sequence[UnitResult]], Awaitable[None]]) -> None:
        self._write = write
        self._pending: list[UnitResult] = []
        self._due = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._writing = asyncio.Lock()

    def add(self, result: UnitResult) -> None:
        """Take one result; durable after the next write, at the latest after `flush`."""
        self._pending.append(result)
        if len(self._pending) >= CHUNK:
            self._due.set()
        if len(self._pending) >= TOO_MANY:
            self._room.clear()

    async def room(self) -> None:
        """Wait while the ledger lags behind."""
        if not self._room.is_set():
            await self._room.wait()

    async def work(self) -> None:
        """Write what has gathered, until cancelled."""
        while True:
            try:
                async with asyncio.timeout(EVERY):
                    await self._due.wait()
            except TimeoutError:
                pass  # time to write what there is
            await self.flush()

    async def flush(self) -> None:
        """Write everything that was added before this call."""
        async with self._writing:
            self._due.clear()
            if self._pending:
                pending, self._pending = self._pending, []
                try:
                    await self._write(pending)
                except BaseException:
                    self._pending = pending + self._pending  # written again by the next flush: it is the same results
                    raise
            self._room.set()
