"""What keeps a run that was overtaken from writing: its lease is kept alive, and asked for before each batch.

A process that was stopped or cut off from the ledger for longer than its lease does not know that somebody else has
taken its job. The clock tells it that it may have been: then it asks the ledger before it writes on.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import structlog

from ark.clock import uptime
from ark.errors import ArkError
from ark.ledger import LeaseLostError
from ark.rows import Row
from ark.stores import Sink

log = structlog.get_logger(__name__)

PART = 3
"""A lease is renewed after a third of its life, and counts for a batch while a third of it is left."""


class Renewing(Protocol):
    """What a fence needs of the ledger."""

    def renew(self, run_id: str) -> None:
        """Hold the run's lease for another life; raises LeaseLostError."""


Call = Callable[[Callable[[], None]], Awaitable[None]]
"""Has a blocking function called outside of the event loop."""


class Fence:
    """The lease of one run, `life` in seconds; the ledger is asked through `call` from the event loop."""

    def __init__(
        self, ledger: Renewing, run_id: str, life: float, call: Call, clock: Callable[[], float] = uptime
    ) -> None:
        self._ledger, self._run_id, self._life, self._call, self._clock = ledger, run_id, life, call, clock
        self._until = 0.0

    def check(self) -> None:
        """Raise LeaseLostError unless the lease is ours, ServiceDownError where the ledger cannot tell.

        Blocks where it was not renewed lately; any thread may ask.
        """
        if self._clock() > self._until - self._life / PART:
            self.renew()

    def renew(self) -> None:
        """Ask the ledger for another life; counted from before the question, so never for longer than it gave."""
        asked = self._clock()
        self._ledger.renew(self._run_id)
        self._until = asked + self._life

    async def checked(self) -> None:
        """The same check, from the event loop."""
        await self._call(self.check)

    async def keep(self, lost: Callable[[ArkError], None]) -> None:
        """Renew it until cancelled; tells `lost` where it is somebody else's."""
        while True:
            await asyncio.sleep(self._life / PART)
            try:
                await self._call(self.renew)
            except LeaseLostError as error:
                lost(error)
                return
            except ArkError as error:
                log.warning("the lease was not renewed; nothing is written once it has run out", error=str(error))


class FencedSink:
    """A sink that writes only for as long as its run holds the lease."""

    def __init__(self, sink: Sink, fence: Fence) -> None:
        self._sink, self._fence = sink, fence
        self.writers = sink.writers

    def check(self, table: str) -> None:
        """See the sink's own."""
        self._sink.check(table)

    def put(self, table: str, rows: Sequence[Row], timestamp: int) -> None:
        """Store the rows. Raises LeaseLostError, and stores nothing, where somebody else works on the job by now."""
        self._fence.check()
        self._sink.put(table, rows, timestamp)

    def close(self) -> None:
        """Close the sink."""
        self._sink.close()
