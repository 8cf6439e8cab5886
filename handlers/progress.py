"""How far a run has come: a live bar on a terminal, one plain line every 30 seconds elsewhere."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TextIO

import structlog

from handlers.outcomes import Meter

log = structlog.get_logger(__name__)

EVERY_LINE = 30.0
EVERY_FRAME = 0.25
"""Seconds between two plain lines, and between two frames of the bar."""


@asynccontextmanager
async def shown(meter: Meter, planned: int, stream: TextIO = sys.stderr) -> AsyncIterator[None]:
    """Show `meter` against `planned` units for as long as the block runs."""
    watching = asyncio.create_task(_live(meter, planned) if stream.isatty() else _lines(meter, planned))
    try:
        yield
    finally:
        watching.cancel()
        await asyncio.wait([watching])


def line(meter: Meter, planned: int, seconds: float) -> dict[str, str]:
    """The figures of one progress line; `seconds` since the run began to fetch."""
    done = meter.settled.total()
    rate = done / seconds if seconds else 0
    left = (planned - done) / rate if rate else 0
    figures = {
        "done": f"{done}/{planned}",
        "ok": f"{meter.settled['verified']}",
        "failed": f"{meter.settled['failed']}",
        "skipped": f"{meter.settled['skipped']}",
        "rows": f"{meter.rows}",
        "rate": f"{rate:.0f}/s",
        "eta": f"{left // 3600:02.0f}:{left // 60 % 60:02.0f}:{left % 60:02.0f}" if rate else "unknown",
    }
    if meter.quota is not None and meter.quota.minute is not None:
        figures["quota"] = f"day {meter.quota.day}% min {meter.quota.minute}%"
    return figures


async def _live(meter: Meter, planned: int) -> None:
    """The bar; where the terminal has gone (its window was closed), lines for the log file."""
    try:
        await _bar(meter, planned)
    except OSError:
        task = asyncio.current_task()
        if task is not None and not task.cancelling():  # else it is the end of the run, of which the bar could not tell
            await _lines(meter, planned)


async def _lines(meter: Meter, planned: int) -> None:
    since = _clock()
    while True:
        await asyncio.sleep(EVERY_LINE)
        log.info("progress", **line(meter, planned, since()))


async def _bar(meter: Meter, planned: int) -> None:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.fields[figures]}"))
    since = _clock()
    # no thread of its own: what it raises there when the terminal has gone, nobody could catch
    with Progress(*columns, console=Console(stderr=True), transient=True, auto_refresh=False) as bar:
        task = bar.add_task("units", total=planned, figures="")
        while True:
            figures = line(meter, planned, since())
            text = " ".join(
                f"{name} {figures[name]}" for name in ("failed", "rows", "rate", "quota") if name in figures
            )
            bar.update(task, completed=meter.settled.total(), figures=text, refresh=True)
            await asyncio.sleep(EVERY_FRAME)


def _clock() -> Callable[[], float]:
    loop = asyncio.get_running_loop()
    start = loop.time()
    return lambda: loop.time() - start
