"""Rows and results between fetching, store and ledger: what overtakes what, and what must not."""

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from datetime import date

import pytest

from ark.circuit import Circuit
from ark.errors import InputDataError, ServiceDownError
from ark.ledger import UnitKey, UnitResult
from ark.rows import Row
from ark.settings import load
from ark.units import Unit
from handlers import pipeline
from handlers.pipeline import Pipeline
from handlers.queue import TaskQueue
from handlers.settler import Settler
from handlers.task import Task

KEY = UnitKey("1", "7", "")
OLD, NEW = (Row(b"7|20200530|7", value) for value in (b"older", b"newer"))


class Handler:
    table = "table"
    settings = None


class Free:
    """A lease that nobody else wants."""

    def check(self) -> None:
        """It is ours."""

    async def checked(self) -> None:
        """It is ours."""


class Sink:
    """A table in memory that is away at first, until `back`; `refused` are values it does not take."""

    writers = 2

    def __init__(self, refused: Sequence[bytes] = ()) -> None:
        self.back = threading.Event()
        self.tried = threading.Event()
        self.cells: dict[bytes, bytes] = {}
        self._refused = refused

    def put(self, _table: str, rows: Sequence[Row], _timestamp: int) -> None:
        self.tried.set()
        if not self.back.is_set():
            raise ServiceDownError("gateway away")
        if any(row.value in self._refused for row in rows):
            raise InputDataError("too large")
        self.cells.update(rows)


class MovingList:
    """Stands for the fetcher: the list has moved once its first page is handed on; the second reading is whole."""

    def __init__(self, queue: TaskQueue, sink: Sink) -> None:
        self._queue, self._sink = queue, sink
        self.early: list[bool] = []
        self.take = None

    async def advance(self, task: Task) -> None:
        if not task.restarts:
            task.received = 1
            await self.take(task, [OLD])
            self._queue.give_back_later(task.restarted(), 0.001)
            return
        self.early.append(not self._sink.back.is_set())
        task.received, task.fetched = 1, True
        await self.take(task, [NEW])
        self._queue.done()


async def chunks(*tasks: Task) -> AsyncIterator[Sequence[Task]]:
    yield tasks


@pytest.mark.parametrize("refused", [(), (OLD.value,)])
def test_a_list_that_moved_is_read_again_once_its_first_rows_have_arrived(monkeypatch, refused):
    """Both readings write one cell under one timestamp: while the store is away, neither may overtake the other."""
    monkeypatch.setattr("handlers.writer.FIRST_PAUSE", 0.01)
    monkeypatch.setattr(pipeline, "LOOK_AGAIN", 0.01)
    settled: list[UnitResult] = []

    async def write(results: Sequence[UnitResult]) -> None:
        settled.extend(results)

    async def scenario() -> tuple[Sink, MovingList]:
        sink, task = Sink(refused), Task(KEY, Unit("T1", date(2020, 5, 30), "1", "7", {}))
        queue = TaskQueue(chunks(task), Circuit(9, 120))
        made = Pipeline(Handler(), load({}), sink, 5, Settler(write), queue, None, Free())
        medium = MovingList(queue, sink)
        medium.take = made.take
        running = asyncio.create_task(made.run(medium))
        await asyncio.to_thread(sink.tried.wait, 10)
        await asyncio.sleep(0.3)  # a back-off of the first reading is long over
        sink.back.set()
        async with asyncio.timeout(10):
            await running
        return sink, medium

    sink, medium = asyncio.run(scenario())
    assert medium.early == [False]
    assert sink.cells == {NEW.key: NEW.value}
    assert (settled[-1].state, settled[-1].rows) == ("verified", 1)
