"""Which unit is next: by turns one that came back or whose waiting is over, and a fresh one from the ledger.

A unit that waits sits here; it holds no worker, no connection and no permit. Fresh units are drawn in chunks and only
as fast as they are worked on, so memory does not depend on how many accounts there are.
"""

import asyncio
import heapq
from collections import deque
from collections.abc import AsyncIterator, Sequence
from itertools import count

from handlers.task import Task

WAITING_AT_MOST = 1000
"""With so many units waiting hardly any fresh ones are begun: a medium in trouble is not given more work."""
TRICKLE = 50
"""Even then one turn in so many goes to a fresh unit: only it can show whether others fare better."""


class TaskQueue:
    """The open units of one run, for any number of workers. `chunks` brings fresh units, some hundreds at a time."""

    def __init__(self, chunks: AsyncIterator[Sequence[Task]]) -> None:
        self._chunks = chunks
        self._fresh: deque[Task] = deque()
        self._returned: deque[Task] = deque()
        self._delayed: list[tuple[float, int, Task]] = []
        self._order = count()
        self._drawing = asyncio.Lock()
        self._no_more_chunks = False
        self._stopped = False
        self._under_way = 0
        self._turn = 0
        self._idle: deque[asyncio.Future[None]] = deque()
        self._alarm: asyncio.TimerHandle | None = None

    @property
    def drained(self) -> bool:
        """No fresh unit is left."""
        return self._no_more_chunks and not self._fresh

    async def get(self) -> Task | None:
        """The next unit, or None when all are settled or the run is stopped. Follow it by `done` or a `give_back`."""
        while not self._stopped:
            self._turn += 1
            task = (await self._draw() or self._ready()) if self._turn % 2 else (self._ready() or await self._draw())
            if task is not None:
                self._under_way += 1
                return task
            if self._exhausted():
                break
            idle = asyncio.get_running_loop().create_future()
            self._idle.append(idle)
            await idle
        return None

    def done(self) -> None:
        """A unit that was got is settled."""
        self._under_way -= 1
        if self._exhausted():
            self._wake_all()

    def give_back(self, *tasks: Task) -> None:
        """The unit, or the two halves that it was cut into, may go again at once."""
        self._under_way -= 1
        self._returned.extend(tasks)
        for _ in tasks:
            self._wake_one()

    def give_back_later(self, task: Task, seconds: float) -> None:
        """The unit goes into back-off."""
        self._under_way -= 1
        due = asyncio.get_running_loop().time() + seconds
        heapq.heappush(self._delayed, (due, next(self._order), task))
        self._set_alarm()

    def stop(self) -> None:
        """Hand out nothing more."""
        self._stopped = True
        self._wake_all()

    def _ready(self) -> Task | None:
        if self._returned:
            return self._returned.popleft()
        if self._delayed and self._delayed[0][0] <= asyncio.get_running_loop().time():
            task = heapq.heappop(self._delayed)[2]
            self._set_alarm()
            return task
        return None

    async def _draw(self) -> Task | None:
        if len(self._delayed) >= WAITING_AT_MOST and self._turn % TRICKLE != 1:
            return None
        if not self._fresh and not self._no_more_chunks:
            async with self._drawing:
                while not self._fresh and not self._no_more_chunks:
                    chunk = await anext(self._chunks, None)
                    self._no_more_chunks = chunk is None
                    self._fresh.extend(chunk or ())
        return self._fresh.popleft() if self._fresh else None

    def _exhausted(self) -> bool:
        return self.drained and not (self._returned or self._delayed or self._under_way)

    def _set_alarm(self) -> None:
        """One timer for the first back-off that ends; it wakes one worker, which sets it anew."""
        if self._alarm is not None:
            self._alarm.cancel()
        first = self._delayed[0][0] if self._delayed else None
        self._alarm = asyncio.get_running_loop().call_at(first, self._ring) if first is not None else None

    def _ring(self) -> None:
        """A back-off is over; a loop whose timers count whole milliseconds may ring too early."""
        if self._delayed and self._delayed[0][0] > asyncio.get_running_loop().time():
            self._set_alarm()
        else:
            self._wake_one()

    def _wake_one(self) -> None:
        while self._idle:
            idle = self._idle.popleft()
            if not idle.done():
                idle.set_result(None)
                return

    def _wake_all(self) -> None:
        for idle in self._idle:
            if not idle.done():
                idle.set_result(None)
        self._idle.clear()
