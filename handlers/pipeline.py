"""The way of the data: open units -> permit -> sign -> HTTP -> verdict -> rows -> batches -> store -> ledger.

A pool of workers over a stream: as many coroutines as calls in flight, never a task per account, never a list of
results. Every unit that is begun ends in one of three ways: settled (verified, failed, skipped), back in the queue, or
still planned in the ledger when the run stops.
"""

import asyncio
from collections.abc import Callable, Sequence

import structlog

from ark.accounts.account_list import AccountList
from ark.errors import ArkError, UnitError
from ark.rows import Row
from ark.settings import Settings
from ark.stores import Sink
from handlers.api import ApiHandler
from handlers.fence import Fence, FencedSink
from handlers.fetcher import Fetcher
from handlers.outcomes import Outcomes
from handlers.queue import TaskQueue
from handlers.records import account_ids
from handlers.settler import Settler
from handlers.stopping import CALLS_UNTIL, STORE_UNTIL, Stop
from handlers.task import Task
from handlers.writer import Writer

log = structlog.get_logger(__name__)

GRACE = 5.0
"""Seconds that calls under way get to end after a stop that is in no hurry."""
LOOK_AGAIN = 0.5
"""Seconds between two looks whether the rows of a list that moved have all reached the store."""


class Pipeline:
    """Runs the workers of one run to its end, or until it is stopped."""

    def __init__(
        self,
        handler: ApiHandler,
        settings: Settings,
        sink: Sink,
        version: int,
        settler: Settler,
        queue: TaskQueue,
        account_list: Callable[[str], AccountList] | None,
        fence: Fence,
    ) -> None:
        self._handler, self._settler, self._queue, self._fence = handler, settler, queue, fence
        self._account_list = account_list
        self._workers = settings.http.concurrency
        self._writers = sink.writers
        self._writer = Writer(
            FencedSink(sink, fence),
            handler.table,
            version,
            (settings.hbase.batch, settings.hbase.batch_bytes),
            patience=settings.hbase.patience,
            stored=self._stored,
            rejected=self._rejected,
            settle=settler.flush,
        )
        self._group = asyncio.TaskGroup()
        self._fetching: list[asyncio.Task[None]] = []
        self._stopping = False
        self._in_hand: dict[asyncio.Task[None], Task] = {}
        self._hurried: Stop | None = None
        self._hurry = asyncio.Event()
        self.outcomes = Outcomes(settler)

    async def run(self, fetcher: Fetcher) -> None:
        """Fetch, store and settle until no unit is left. Raises what ended the run early, but for a `stop`."""
        try:
            async with self._group as group:
                background = [group.create_task(self._writer.work()) for _ in range(self._writers)]
                background.append(group.create_task(self._settler.work()))
                self._fetching = [group.create_task(self._fetch(fetcher)) for _ in range(self._workers)]
                await asyncio.wait(self._fetching)
                await self._drain()
                for task in background:
                    task.cancel()
        except ExceptionGroup as group:
            raise _first(group) from group
        finally:
            self._writer.close()
            await self._settler.flush()

    def stop(self) -> None:
        """Begin no unit any more; let calls under way end within GRACE, and the store have its time."""
        if not self._stopping:
            self._stopping = True
            self._queue.stop()
            for worker, task in self._in_hand.items():
                if not task.requests:  # it waits for its token or its permit: its first call would still come
                    worker.cancel()
            asyncio.get_running_loop().call_later(GRACE, self._cancel_fetching)

    def hurry(self, stop: Stop) -> None:
        """The same in the time that is left after `stop`; what the store has not taken by then stays open."""
        self.stop()
        if self._hurried is None:
            self._hurried = stop
            self._hurry.set()
            asyncio.get_running_loop().call_later(stop.left(CALLS_UNTIL), self._cancel_fetching)

    async def take(self, task: Task, rows: Sequence[Row]) -> None:
        """Receive one page's rows of a unit; waits while the store is slower than the medium."""
        if self._account_list is not None:
            await self._collect(self._account_list, task, rows)
        if rows:
            task.handed_on += len(rows)
            await self._writer.add(task, rows)
        elif task.complete():
            self._finish(task)
        await self._settler.room()

    async def _collect(self, account_list: Callable[[str], AccountList], task: Task, rows: Sequence[Row]) -> None:
        task.accounts = task.accounts or account_list(task.key.agent)
        try:
            await task.accounts.add(account_ids(self._handler.row_key, rows))
        except ArkError as error:
            raise UnitError(f"the list in Redis cannot be replaced: {error}", trace=task.trace) from None

    async def _fetch(self, fetcher: Fetcher) -> None:
        worker = asyncio.current_task()
        assert worker is not None
        while (task := await self._queue.get()) is not None:
            self._in_hand[worker] = task
            if task.earlier is not None and task.earlier.on_its_way:
                self._queue.give_back_later(task, LOOK_AGAIN)
                continue
            task.earlier = None
            await fetcher.advance(task)

    async def _drain(self) -> None:
        """Store what is fetched; when in a hurry, also one that comes meanwhile, only for as long as there is time."""
        draining = asyncio.create_task(self._writer.drain())
        hurrying = asyncio.create_task(self._hurry.wait())
        try:
            await asyncio.wait([draining, hurrying], return_when=asyncio.FIRST_COMPLETED)
            left = self._hurried.left(STORE_UNTIL) if self._hurried else None
            done, _ = await asyncio.wait([draining], timeout=left)
            if not done:
                log.warning("the store did not take the last rows in time; their units stay open")
        finally:
            draining.cancel()
            hurrying.cancel()

    def _cancel_fetching(self) -> None:
        for task in self._fetching:
            task.cancel()

    def _stored(self, task: Task, rows: int) -> None:
        self.outcomes.stored(task, rows)
        if task.complete():
            self._finish(task)

    def _rejected(self, task: Task, reason: str) -> None:
        task.rejected += 1
        self.outcomes.failed(task, UnitError(reason, trace=task.trace))

    def _finish(self, task: Task) -> None:
        if task.accounts is None:
            self.outcomes.verified(task)
        else:
            self._group.create_task(self._publish(task))

    async def _publish(self, task: Task) -> None:
        """Replace the agent's list in Redis before the unit counts as done: what follows reads it."""
        assert task.accounts is not None
        await self._fence.checked()
        try:
            elsewhere = await task.accounts.publish()
        except ArkError as error:
            self.outcomes.failed(task, UnitError(f"the list in Redis was not replaced: {error}", trace=task.trace))
            return
        if elsewhere:
            log.warning("accounts belong to another agent as well", agent=task.key.agent, accounts=elsewhere)
        self.outcomes.verified(task)


def _first(group: ExceptionGroup[Exception]) -> Exception:
    """What ended the run: our own errors before whatever they set off."""
    leaves = [
        leaf
        for error in group.exceptions
        for leaf in ([_first(error)] if isinstance(error, ExceptionGroup) else [error])
    ]
    return next((leaf for leaf in leaves if isinstance(leaf, ArkError)), leaves[0])
