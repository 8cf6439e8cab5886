"""Has a Writer put rows into a store, each row a unit of its own."""

import asyncio
from collections.abc import Sequence
from datetime import date

from ark.ledger import UnitKey
from ark.rows import Row
from ark.stores import Sink
from ark.units import Unit
from handlers.task import Task
from handlers.writer import Writer


def write(sink: Sink, table: str, rows: Sequence[Row], patience: float = 60) -> tuple[set[int], dict[int, str]]:
    """The numbers of the rows that were acknowledged, and of those that were rejected, with the reason.

    Raises what ends a run.
    """
    stored: set[int] = set()
    rejected: dict[int, str] = {}

    async def settle() -> None:
        """Nobody asks for the ledger."""

    async def done() -> None:
        writer = Writer(
            sink,
            table,
            5,
            (1000, 64 << 20),
            patience=patience,
            stored=lambda task, _: stored.add(int(task.key.account)),
            rejected=lambda task, reason: rejected.update({int(task.key.account): reason}),
            settle=settle,
        )
        async with asyncio.TaskGroup() as group:
            workers = [group.create_task(writer.work()) for _ in range(sink.writers)]
            for number, row in enumerate(rows):
                unit = Unit("T1", date(2020, 5, 30), "1", str(number), {})
                await writer.add(Task(UnitKey("1", str(number), ""), unit), [row])
            await writer.drain()
            for worker in workers:
                worker.cancel()
        writer.close()

    asyncio.run(done())
    return stored, rejected
