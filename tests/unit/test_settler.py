"""Results reach the ledger whole, whatever happens to the task that writes them."""

import asyncio

import pytest

from ark.ledger import UnitKey, UnitResult
from handlers.settler import CHUNK, Settler
from tests.virtual_time import run


def result(number: int) -> UnitResult:
    return UnitResult(UnitKey("1", str(number), ""), "verified")


def test_a_write_that_is_cancelled_is_done_by_the_next_flush():
    async def scenario() -> list[UnitResult]:
        written = []

        async def slow(results):
            await asyncio.sleep(10)
            written.extend(results)

        settler = Settler(slow)
        for number in range(CHUNK):
            settler.add(result(number))
        working = asyncio.create_task(settler.work())
        await asyncio.sleep(1)
        working.cancel()
        await asyncio.wait([working])
        assert written == []
        await settler.flush()
        return written

    assert run(scenario()) == [result(number) for number in range(CHUNK)]


def test_a_write_that_fails_keeps_its_results():
    async def scenario() -> None:
        async def away(_results):
            raise OSError("away")

        written = []

        async def back(results):
            written.extend(results)

        settler = Settler(away)
        settler.add(result(1))
        with pytest.raises(OSError, match="away"):
            await settler.flush()
        settler._write = back
        await settler.flush()
        assert written == [result(1)]

    run(scenario())


def test_few_results_are_written_soon():
    async def scenario() -> int:
        written = []

        async def write(results):
            written.extend(results)

        settler = Settler(write)
        working = asyncio.create_task(settler.work())
        settler.add(result(1))
        await asyncio.sleep(1)
        working.cancel()
        await asyncio.wait([working])
        return len(written)

    assert run(scenario()) == 1
