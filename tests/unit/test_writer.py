"""Batches close at their limits, a slow store holds the fetching back, every row is acknowledged to its own unit."""

import asyncio
import threading
from collections import Counter
from collections.abc import Sequence
from datetime import date

import pytest

from ark.errors import InputDataError, ServiceDownError
from ark.ledger import UnitKey
from ark.rows import Row
from ark.units import Unit
from handlers.task import Task
from handlers.writer import Writer


class Sink:
    """Keeps what it is given; `trouble` may raise before a batch is taken."""

    def __init__(self, writers: int = 1, trouble=lambda _rows: None) -> None:
        self.writers = writers
        self.batches: list[list[Row]] = []
        self._trouble = trouble
        self.open = threading.Event()
        self.open.set()

    def put(self, _table: str, rows: Sequence[Row], _timestamp: int) -> None:
        assert self.open.wait(10)
        self._trouble(rows)
        self.batches.append(list(rows))


def make(number: int) -> Task:
    key = UnitKey("1", str(number), "")
    return Task(key, Unit("T1", date(2020, 5, 30), "1", key.account, {}))


def rows(task: Task, count: int, size: int = 10) -> list[Row]:
    return [Row(f"{task.key.account}|{index}".encode(), b"x" * size) for index in range(count)]


async def write(sink: Sink, pages: list[tuple[Task, int]], limits=(10, 10_000), size=10):
    stored, rejected = Counter(), {}
    writer = Writer(
        sink,
        "table",
        1,
        limits,
        stored=lambda task, count: stored.update({task.key.account: count}),
        rejected=lambda task, reason: rejected.update({task.key.account: reason}),
    )
    workers = [asyncio.create_task(writer.work()) for _ in range(sink.writers)]
    for task, count in pages:
        await writer.add(task, rows(task, count, size))
    await asyncio.wait([asyncio.create_task(writer.drain()), *workers], return_when=asyncio.FIRST_COMPLETED)
    for worker in workers:
        worker.cancel()
    writer.close()
    errors = await asyncio.gather(*workers, return_exceptions=True)
    return stored, rejected, [error for error in errors if not isinstance(error, asyncio.CancelledError)]


@pytest.mark.parametrize("writers", [1, 4])
def test_every_row_is_stored_once_and_acknowledged_to_its_unit(writers):
    pages = [(make(number), number % 25) for number in range(60)]
    sink = Sink(writers)
    stored, rejected, errors = asyncio.run(write(sink, pages))
    assert not rejected
    assert not errors
    assert +stored == +Counter({task.key.account: count for task, count in pages})
    keys = [row.key for batch in sink.batches for row in batch]
    assert sorted(keys) == sorted(row.key for task, count in pages for row in rows(task, count))
    assert max(len(batch) for batch in sink.batches) == 10


def test_batches_close_at_their_bytes_and_a_large_row_travels_alone():
    sink = Sink()
    asyncio.run(write(sink, [(make(1), 7)], limits=(1000, 250), size=100))
    assert [len(batch) for batch in sink.batches] == [3, 3, 1]
    sink = Sink()
    asyncio.run(write(sink, [(make(1), 3)], limits=(1000, 50), size=100))
    assert [len(batch) for batch in sink.batches] == [1, 1, 1]


def test_a_row_that_the_store_refuses_fails_its_unit_alone():
    def refuse(batch):
        if any(row.key == b"3|1" for row in batch):
            raise InputDataError("KeyValue size too large")

    pages = [(make(number), 2) for number in range(5)]
    stored, rejected, _ = asyncio.run(write(Sink(trouble=refuse), pages))
    assert list(rejected) == ["3"]
    assert "KeyValue size too large" in rejected["3"]
    assert stored == {"0": 2, "1": 2, "2": 2, "3": 1, "4": 2}


def test_a_store_that_is_away_for_a_while_gets_the_same_batch_again(monkeypatch):
    monkeypatch.setattr("handlers.writer.FIRST_PAUSE", 0.001)
    calls = []

    def away_twice(batch):
        calls.append(list(batch))
        if len(calls) < 3:
            raise ServiceDownError("gateway away")

    stored, _, errors = asyncio.run(write(Sink(trouble=away_twice), [(make(1), 4)]))
    assert stored == {"1": 4}
    assert not errors
    assert calls[0] == calls[1] == calls[2]


def test_a_store_that_stays_away_ends_the_run_and_acknowledges_nothing(monkeypatch):
    monkeypatch.setattr("handlers.writer.FIRST_PAUSE", 0.001)
    monkeypatch.setattr("handlers.writer.PATIENCE", 0.01)

    def away(_batch):
        raise ServiceDownError("gateway away")

    stored, _, errors = asyncio.run(write(Sink(trouble=away), [(make(1), 4)]))
    assert not stored
    assert [str(error) for error in errors] == ["gateway away"]


def test_a_slow_store_holds_the_fetching_back():
    async def scenario() -> int:
        sink = Sink(2)
        sink.open.clear()
        writer = Writer(sink, "t", 1, (10, 10_000), stored=lambda *_: None, rejected=lambda *_: None)
        workers = [asyncio.create_task(writer.work()) for _ in range(2)]
        added = 0

        async def fetch() -> None:
            nonlocal added
            for number in range(100):
                await writer.add(make(number), rows(make(number), 5))
                added += 5

        fetching = asyncio.create_task(fetch())
        await asyncio.sleep(0.2)
        held_back_at = added
        sink.open.set()
        await fetching
        await writer.drain()
        for worker in workers:
            worker.cancel()
        writer.close()
        assert sum(len(batch) for batch in sink.batches) == 500
        return held_back_at

    # two batches in the threads' hands, two waiting, one open
    assert asyncio.run(scenario()) <= 50


def test_a_lonely_row_does_not_wait_for_company():
    async def scenario() -> list[list[Row]]:
        sink = Sink()
        writer = Writer(sink, "t", 1, (1000, 10_000), stored=lambda *_: None, rejected=lambda *_: None)
        worker = asyncio.create_task(writer.work())
        await writer.add(make(1), rows(make(1), 1))
        async with asyncio.timeout(10):
            while not sink.batches:
                await asyncio.sleep(0.01)
        worker.cancel()
        writer.close()
        return sink.batches

    assert len(asyncio.run(scenario())) == 1
