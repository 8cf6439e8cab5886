"""How far a run has come: a live bar on a terminal, one plain line every 30 seconds elsewhere."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TextIO

import structlog

from ark.governor import State
from handlers.outcomes import Meter

log = structlog.get_logger(__name__)

EVERY_LINE = 30.0
EVERY_FRAME = 0.25
"""Seconds between two plain lines, and between two frames of the bar."""


@asynccontextmanager
async def shown(
    meter: Meter, planned: int, state: Callable[[], State], stream: TextIO = sys.stderr
) -> AsyncIterator[None]:
    """Show `meter` against `planned` units, and the `state` of their gate, for as long as the block runs."""
    show = _live if stream.isatty() else _lines
    watching = asyncio.create_task(show(meter, planned, state))
    try:
        yield
    finally:
        watching.cancel()
        await asyncio.wait([watching])


def line(meter: Meter, planned: int, seconds: float, state: State) -> dict[str, str]:
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
        "pace": f"{state.pace:.0f}/s",
    }
    if state.quota:
        figures["quota"] = f"{state.quota:.0f}/min"
    if state.minute is not None:
        figures["left"] = f"{state.minute:.0f}%"
    if state.day is not None:
        figures["day"] = f"{state.day:.0f}%"
    if state.refusals:
        figures["refused"] = f"{state.refusals}"
    return figures


def beside_the_bar(figures: Mapping[str, str]) -> str:
    """Of the figures of a line those that fit on a terminal of 80 columns, with the bar, the count and the time."""
    pace = f"{figures['pace']} of {figures['quota']}" if "quota" in figures else figures["pace"]
    left = [f"{figures['left']} left"] if "left" in figures else []
    day = [f"day {figures['day']}"] if "day" in figures else []
    return ", ".join([f"{figures['failed']} failed", pace, *left, *day])


async def _live(meter: Meter, planned: int, state: Callable[[], State]) -> None:
    """The bar; where the terminal has gone (its window was closed), lines for the log file."""
    try:
        await _bar(meter, planned, state)
    except OSError:
        task = asyncio.current_task()
        if task is not None and not task.cancelling():  # else it is the end of the run, of which the bar could not tell
            await _lines(meter, planned, state)


async def _lines(meter: Meter, planned: int, state: Callable[[], State]) -> None:
    since = _clock()
    while True:
        await asyncio.sleep(EVERY_LINE)
        log.info("progress", **line(meter, planned, since(), state()))


async def _bar(meter: Meter, planned: int, state: Callable[[], State]) -> None:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
    from rich.table import Column

    columns = (
        BarColumn(),  # what gives way where the terminal is narrow
        MofNCompleteColumn(table_column=Column(no_wrap=True)),
        TimeRemainingColumn(table_column=Column(no_wrap=True)),
        TextColumn("{task.fields[figures]}"),
    )
    since = _clock()
    # no thread of its own: what it raises there when the terminal has gone, nobody could catch
    with Progress(*columns, console=Console(stderr=True), transient=True, auto_refresh=False) as bar:
        task = bar.add_task("units", total=planned, figures="")
        while True:
            figures = beside_the_bar(line(meter, planned, since(), state()))
            bar.update(task, completed=meter.settled.total(), figures=figures, refresh=True)
            await asyncio.sleep(EVERY_FRAME)


def _clock() -> Callable[[], float]:
    loop = asyncio.get_running_loop()
    start = loop.time()
    return lambda: loop.time() - start
