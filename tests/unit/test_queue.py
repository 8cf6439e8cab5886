"""The task queue hands out every unit until it is settled, and holds back nothing but what waits."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import date

import pytest

from ark.circuit import THRESHOLD, Circuit
from ark.ledger import UnitKey
from ark.units import Unit
from handlers.queue import WAITING_AT_MOST, TaskQueue
from handlers.task import Task
from tests.virtual_time import run


def make(number: int) -> Task:
    key = UnitKey("1", str(number), "")
    return Task(key, Unit("T1", date(2020, 5, 30), "1", key.account, {}))


async def chunked(tasks: Sequence[Task], size: int = 10) -> AsyncIterator[Sequence[Task]]:
    for start in range(0, len(tasks), size):
        await asyncio.sleep(0.01)
        yield tasks[start : start + size]


async def drain(queue: TaskQueue, seen: list[Task]) -> None:
    while (task := await queue.get()) is not None:
        seen.append(task)
        await asyncio.sleep(0)
        queue.done()


def test_every_unit_is_handed_out_once_to_many_workers():
    async def scenario() -> list[Task]:
        queue, seen = TaskQueue(chunked([make(number) for number in range(95)]), Circuit(9, 120)), []
        await asyncio.gather(*(drain(queue, seen) for _ in range(7)))
        return seen

    seen = run(scenario())
    assert sorted(int(task.key.account) for task in seen) == list(range(95))


def test_no_units_at_all_end_the_workers():
    async def scenario() -> list[Task]:
        queue, seen = TaskQueue(chunked([]), Circuit(9, 120)), []
        await asyncio.gather(*(drain(queue, seen) for _ in range(3)))
        return seen

    assert run(scenario()) == []


def test_a_unit_in_backoff_holds_no_worker_and_comes_back_when_it_is_due():
    async def scenario() -> list[tuple[str, float]]:
        loop = asyncio.get_running_loop()
        start = loop.time()
        queue = TaskQueue(chunked([make(number) for number in range(3)]), Circuit(9, 120))
        order = []

        async def worker() -> None:
            delayed = False
            while (task := await queue.get()) is not None:
                order.append((task.key.account, round(loop.time() - start)))
                if task.key.account == "0" and not delayed:
                    delayed = True
                    queue.give_back_later(task, 60)
                else:
                    queue.done()

        await worker()
        return order

    assert run(scenario()) == [("0", 0), ("1", 0), ("2", 0), ("0", 60)]


def test_idle_workers_wait_for_a_unit_that_may_come_back():
    async def scenario() -> list[str]:
        queue, log = TaskQueue(chunked([make(1)]), Circuit(9, 120)), []

        async def refused_once() -> None:
            task = await queue.get()
            await asyncio.sleep(5)
            queue.give_back(task)
            log.append("given back")
            await drain(queue, [])

        async def idle() -> None:
            seen = []
            await drain(queue, seen)
            log.extend(task.key.account for task in seen)

        await asyncio.gather(refused_once(), idle())
        return log

    assert run(scenario())[0] == "given back"


def test_returned_and_fresh_units_go_by_turns():
    async def scenario() -> list[str]:
        queue = TaskQueue(chunked([make(number) for number in range(6)]), Circuit(9, 120))
        for task in [await queue.get() for _ in range(3)]:
            queue.give_back(task)
        order = []
        await drain(queue, order)
        return [task.key.account for task in order]

    order = run(scenario())
    assert sorted(order) == ["0", "1", "2", "3", "4", "5"]
    assert {order.index(fresh) for fresh in order if fresh in "345"} != {3, 4, 5}


def test_a_medium_in_trouble_is_given_no_fresh_units():
    async def scenario() -> int:
        queue = TaskQueue(chunked([make(number) for number in range(3 * WAITING_AT_MOST)], 500), Circuit(9, 120))
        begun = set()

        async def failing() -> None:
            while (task := await queue.get()) is not None:
                begun.add(task.key.account)
                queue.give_back_later(task, 1000)

        worker = asyncio.create_task(failing())
        await asyncio.sleep(500)
        queue.stop()
        await worker
        return len(begun)

    assert WAITING_AT_MOST <= run(scenario()) < 2 * WAITING_AT_MOST


def test_a_timer_that_rings_too_early_is_set_again(monkeypatch):
    """uvloop counts whole milliseconds: its timers may ring up to half of one too early."""

    async def scenario() -> float:
        loop = asyncio.get_running_loop()
        call_at, early = loop.call_at, iter([0.0005])
        monkeypatch.setattr(loop, "call_at", lambda when, *rest, **kw: call_at(when - next(early, 0), *rest, **kw))
        queue = TaskQueue(chunked([make(1)]), Circuit(9, 120))
        queue.give_back_later(await queue.get(), 10)
        assert await queue.get() is not None
        return loop.time() - 1000

    assert run(scenario()) >= 10


@pytest.mark.parametrize("more", [0, 1])
def test_a_silent_medium_is_probed_only_while_a_unit_waits_to_be_called(more):
    """What is under way may have its answer already, and only wait for the store."""

    async def scenario() -> list[bool]:
        circuit = Circuit(9, 120)
        queue = TaskQueue(chunked([make(number) for number in range(1 + more)]), circuit)
        queue.known = await queue.get()
        for _ in range(THRESHOLD):
            circuit.trouble(circuit.admit(0), 0)
        probes = []

        async def probing() -> None:
            while (task := await queue.get()) is not None:
                probes.append(task.probe)
                leave = circuit.admit(asyncio.get_running_loop().time())
                circuit.answered(leave, 0)
                queue.done()

        idle = asyncio.create_task(probing())
        await asyncio.sleep(60)
        queue.done()
        await idle
        return probes

    assert run(scenario()) == [True, False][: 2 * more]


def test_stop_ends_waiting_workers_at_once():
    async def scenario() -> float:
        loop = asyncio.get_running_loop()
        queue = TaskQueue(chunked([make(1)]), Circuit(9, 120))
        task = await queue.get()
        waiting = asyncio.create_task(queue.get())
        await asyncio.sleep(1)
        queue.stop()
        started = loop.time()
        assert await waiting is None
        queue.give_back(task)
        assert await queue.get() is None
        return loop.time() - started

    assert run(scenario()) == 0
