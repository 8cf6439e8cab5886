"""Batches close at their limits, a slow store holds the fetching back, every row is acknowledged to its own unit."""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Sequence
from datetime import date

import pytest

from ark.errors import InputDataError, ServiceDownError
from ark.ledger import UnitKey
from ark.rows import Row
from ark.stores import RowsRefusedError, UnclearError
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


async def nothing() -> None:
    """What there is to settle where nobody looks."""


def make_writer(sink: Sink, limits=(10, 10_000), **more) -> Writer:
    heard = {"stored": lambda *_: None, "rejected": lambda *_: None, "settle": nothing, "patience": 60.0}
    return Writer(sink, "table", 1, limits, **heard | more)


async def write(sink: Sink, pages: list[tuple[Task, int]], limits=(10, 10_000), size=10, patience=60.0):
    stored, rejected = Counter(), {}
    writer = make_writer(
        sink,
        limits,
        patience=patience,
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

    def away(_batch):
        raise ServiceDownError("gateway away")

    stored, _, errors = asyncio.run(write(Sink(trouble=away), [(make(1), 4)], patience=0.01))
    assert not stored
    assert [str(error) for error in errors] == ["gateway away"]


def test_a_slow_store_holds_the_fetching_back():
    async def scenario() -> int:
        sink = Sink(2)
        sink.open.clear()
        writer = make_writer(sink)
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
        writer = make_writer(sink, (1000, 10_000))
        worker = asyncio.create_task(writer.work())
        await writer.add(make(1), rows(make(1), 1))
        async with asyncio.timeout(10):
            while not sink.batches:
                await asyncio.sleep(0.01)
        worker.cancel()
        writer.close()
        return sink.batches

    assert len(asyncio.run(scenario())) == 1


def test_rows_that_are_named_are_rejected_without_another_try():
    refused = {b"1|0": "read back: row 1|0 is missing", b"3|2": "read back: row 3|2 is missing"}
    sink = Sink()

    def lose_two(batch):
        lost = {row.key: refused[row.key] for row in batch if row.key in refused}
        sink.batches.append(list(batch))
        if lost:
            raise RowsRefusedError(lost)

    sink.put = lambda _table, rows, _timestamp: lose_two(rows)
    stored, rejected, errors = asyncio.run(
        write(sink, [(make(number), 3) for number in range(4)], limits=(100, 10_000))
    )
    assert rejected == {"1": refused[b"1|0"], "3": refused[b"3|2"]}
    assert stored == {"0": 3, "1": 2, "2": 3, "3": 2}
    assert not errors
    assert len(sink.batches) == 1


def test_a_row_that_may_be_at_fault_is_looked_for_when_patience_is_at_an_end(monkeypatch):
    monkeypatch.setattr("handlers.writer.FIRST_PAUSE", 0.001)
    tries = []

    def unclear(batch):
        tries.append(len(batch))
        if any(row.key == b"3|1" for row in batch):
            raise UnclearError("Failed 1 action: StrangeException")

    pages = [(make(number), 2) for number in range(5)]
    stored, rejected, errors = asyncio.run(write(Sink(trouble=unclear), pages, patience=0.05))
    assert not errors
    assert list(rejected) == ["3"]
    assert "StrangeException" in rejected["3"]
    assert stored == {"0": 2, "1": 2, "2": 2, "3": 1, "4": 2}
    assert tries[:2] == [10, 10]  # whole, again and again, before it is halved


def test_a_search_that_finds_nobody_ends_the_run(monkeypatch):
    """A store that takes no row at all, each try slow: not a thousand tries, one after the other."""
    monkeypatch.setattr("handlers.writer.FIRST_PAUSE", 0.001)
    tries = []

    def slow(batch):
        tries.append(len(batch))
        time.sleep(0.03)
        raise UnclearError("RegionTooBusyException")

    stored, rejected, errors = asyncio.run(write(Sink(trouble=slow), [(make(1), 1000)], (1000, 10**6), patience=0.05))
    assert [str(error) for error in errors] == ["RegionTooBusyException"]
    assert not stored
    assert len(tries) < 20
    assert not rejected


def test_what_can_be_stored_of_a_batch_is_stored_although_the_rest_cannot(monkeypatch):
    """One region is away: its rows hold up the run, not the rows beside them."""
    monkeypatch.setattr("handlers.writer.FIRST_PAUSE", 0.001)

    def away(batch):
        if len(batch) > 1:
            raise InputDataError("one of these")
        if batch[0].key.startswith(b"0|"):
            raise ServiceDownError("region away")

    stored, rejected, errors = asyncio.run(
        write(Sink(trouble=away), [(make(number), 2) for number in range(5)], patience=0.3)
    )
    assert [str(error) for error in errors] == ["region away"]
    assert not rejected
    assert stored == {"1": 2, "2": 2, "3": 2, "4": 2}


@pytest.mark.parametrize("writers", [1, 4])
def test_a_worker_takes_its_next_batch_when_the_ledger_knows_the_one_before(writers):
    """Whatever ends the process: at most one batch per worker is stored and not settled."""
    stored, settled, most = 0, 0, 0

    def acknowledge(_task, count):
        nonlocal stored
        stored += count

    async def settle():
        nonlocal settled, most
        most = max(most, stored - settled)
        known = stored
        await asyncio.sleep(0.001)  # others go on meanwhile
        settled = max(settled, known)

    async def scenario() -> None:
        writer = make_writer(Sink(writers), stored=acknowledge, settle=settle)
        workers = [asyncio.create_task(writer.work()) for _ in range(writers)]
        for number in range(60):
            await writer.add(make(number), rows(make(number), 5))
        await writer.drain()
        assert settled == stored == 300
        for worker in workers:
            worker.cancel()
        writer.close()

    asyncio.run(scenario())
    assert 0 < most <= writers * 10
