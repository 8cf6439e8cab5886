"""Which unit is next: by turns one that came back or whose waiting is over, and a fresh one from the ledger.

A unit that waits sits here; it holds no worker, no connection and no permit. Fresh units are drawn in chunks and only
as fast as they are worked on, so memory does not depend on how many accounts there are. While the medium is silent
nothing is handed out but probes: the call that was answered last, once more, and only for units that wait to be called.
"""

import asyncio
import heapq
from collections import deque
from collections.abc import AsyncIterator, Sequence
from itertools import count
from math import inf

from ark.circuit import Circuit
from handlers.task import Task

WAITING_AT_MOST = 1000
"""With so many units waiting hardly any fresh ones are begun: a medium in trouble is not given more work."""
TRICKLE = 50
"""Even then one turn in so many goes to a fresh unit: only it can show whether others fare better."""


class TaskQueue:
    """The open units of one run, for any number of workers. `chunks` brings fresh units, some hundreds at a time.

    `known` is what was answered last. A unit whose call is to be repeated waits while `circuit` has no budget for it.
    It comes out with `given_up` set where that cannot change any more: nothing else is left, or too many wait.
    """

    def __init__(self, chunks: AsyncIterator[Sequence[Task]], circuit: Circuit) -> None:
        self._chunks, self._circuit = chunks, circuit
        self.known: Task | None = None
        self._fresh: deque[Task] = deque()
        self._returned: deque[Task] = deque()
        self._delayed: list[tuple[float, int, Task]] = []
        self._parked: deque[Task] = deque()
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

    @property
    def parked(self) -> int:
        """Units that wait for the budget: none of them is called before something else is answered."""
        return len(self._parked)

    async def get(self) -> Task | None:
        """The next unit, or None when all are settled or the run is stopped. Follow it by `done` or a `give_back`."""
        while not self._stopped:
            task = await self._next() or self._given_up()
            if task is not None:
                self._under_way += 1
                return task
            if self._exhausted():
                break
            self._set_alarm()
            idle = asyncio.get_running_loop().create_future()
            self._idle.append(idle)
            await idle
        return None

    def done(self) -> None:
        """A unit that was got is settled."""
        self._under_way -= 1
        if self._all_settled():
            self.wake()

    def give_back(self, *tasks: Task) -> None:
        """The unit, or the two halves that it was cut into, may go again at once."""
        self._under_way -= 1
        self._returned.extend(tasks)
        for _ in tasks:
            self._wake_one()

    def give_back_first(self, task: Task) -> None:
        """The unit may go again at once, before others that came back."""
        self._under_way -= 1
        self._returned.appendleft(task)
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
        self.wake()

    def wake(self) -> None:
        """Let all workers look anew: the circuit has closed, or lets one try before its time."""
        for idle in self._idle:
            if not idle.done():
                idle.set_result(None)
        self._idle.clear()

    async def _next(self) -> Task | None:
        now = asyncio.get_running_loop().time()
        if now < self._circuit.next_call:
            return None
        if self._circuit.opened_at is not None:
            await self._fill()
            return self._probe() or await self._draw() or self._ready(now)
        self._turn += 1
        if self._turn % 2:
            return (await self._draw() if self._may_begin() else None) or self._ready(now)
        return self._ready(now) or (await self._draw() if self._may_begin() else None)

    def _probe(self) -> Task | None:
        """What is known to have an answer: if none comes, it is the medium's silence, and no unit has paid for it."""
        known = self.known
        return Task(known.key, known.unit, known.members, probe=True) if known and self._waiting() else None

    def _may_begin(self) -> bool:
        return len(self._delayed) < WAITING_AT_MOST or self._turn % TRICKLE == 1

    def _ready(self, now: float) -> Task | None:
        """A unit that came back or is due, unless it is to be repeated and the budget does not allow it."""
        while self._returned or (self._delayed and self._delayed[0][0] <= now):
            task = self._returned.popleft() if self._returned else heapq.heappop(self._delayed)[2]
            if task.trouble is None or self._circuit.may_repeat:
                self._set_alarm()
                return task
            self._parked.append(task)
        return self._parked.popleft() if self._parked and self._circuit.may_repeat else None

    def _given_up(self) -> Task | None:
        """One that waits for the budget in vain."""
        if len(self._parked) > WAITING_AT_MOST or (self._parked and self._all_settled()):
            task = self._parked.popleft()
            task.given_up = True
            return task
        return None

    async def _draw(self) -> Task | None:
        await self._fill()
        return self._fresh.popleft() if self._fresh else None

    async def _fill(self) -> None:
        if not self._fresh and not self._no_more_chunks:
            async with self._drawing:
                while not self._fresh and not self._no_more_chunks:
                    chunk = await anext(self._chunks, None)
                    self._no_more_chunks = chunk is None
                    self._fresh.extend(chunk or ())

    def _waiting(self) -> bool:
        """Whether a unit is to be called that is not under way."""
        return bool(self._returned or self._delayed or self._parked) or not self.drained

    def _exhausted(self) -> bool:
        return not (self._waiting() or self._under_way)

    def _all_settled(self) -> bool:
        """But for what waits for the budget."""
        return self.drained and not (self._returned or self._delayed or self._under_way)

    def _set_alarm(self) -> None:
        """One timer for the first back-off that ends, or the next probe; it wakes one worker, which sets it anew."""
        if self._alarm is not None:
            self._alarm.cancel()
        due = self._due()
        self._alarm = asyncio.get_running_loop().call_at(due, self._ring) if due < inf else None

    def _due(self) -> float:
        """When there will be something to hand out."""
        first = self._delayed[0][0] if self._delayed else inf
        if self._circuit.opened_at is None:
            return first
        ready = (self.known and self._waiting()) or self._returned or not self.drained
        return self._circuit.next_call if ready else max(first, self._circuit.next_call)

    def _ring(self) -> None:
        """Its time has come; a loop whose timers count whole milliseconds may ring too early."""
        if self._due() > asyncio.get_running_loop().time():
            self._set_alarm()
        else:
            self._wake_one()

    def _wake_one(self) -> None:
        while self._idle:
            idle = self._idle.popleft()
            if not idle.done():
                idle.set_result(None)
                return
