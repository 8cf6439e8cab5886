"""Ending a task for good."""

import asyncio
from typing import Any

AGAIN = 0.1
"""Seconds after which a task that goes on although it was cancelled is cancelled again."""


async def end(task: "asyncio.Task[Any]") -> None:
    """Cancel `task` until it has ended; what it raises is nobody's.

    Below Python 3.12 one cancellation may be lost: `asyncio.wait_for`, through which the client of Redis sends, drops
    one that comes at the moment at which it is done. Who goes on for ever would then be waited for for ever.
    """
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=AGAIN)
