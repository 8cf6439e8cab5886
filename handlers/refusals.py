"""A unit that the quota refused: it goes again without spending a try, but not for ever. And what people hear of it."""

import asyncio
import random
from dataclasses import dataclass
from math import inf

import structlog

from ark.governor.gate import REST_OF_DAY, Gate
from handlers.api import ApiHandler
from handlers.call import RefusedError
from handlers.queue import TaskQueue
from handlers.task import Task

log = structlog.get_logger(__name__)

REFUSED_AT_MOST = 5
"""Windows in which a unit may be refused while others pass: then the refusal is its own and not the quota's."""
BRIEFLY_AT_MOST = 20
"""Refusals in a row for less than a window that a unit sits out: together about a quarter of an hour."""

STANDSTILL = 0.5
"""Windows for which nothing passes, so far and until the next call, that people should know of.

Where nothing has ever passed they know of it at once: from the second call.
"""
AGAIN = 5
"""Windows until the same warning is given again."""


class Refusals:
    """Tells a quota that is used up from a unit that is refused whatever the quota.

    The first refusal of a call is the quota's: the unit goes again before others, as soon as the gate lets it. One that
    is refused then lets others try, and is judged by whether they pass. Where only refused units are left, nobody else
    can pass, and every window counts.
    """

    def __init__(self, queue: TaskQueue) -> None:
        self._queue = queue
        self._never_refused = 0

    def begun(self, task: Task) -> None:
        """The unit makes its first call."""
        if not task.begun:
            task.begun = True
            self._never_refused += 1

    def left(self, task: Task) -> None:
        """The unit makes no more calls."""
        if not task.refused:
            self._never_refused -= 1

    def again(self, task: Task, gate: Gate, wait: float, *, own: bool = False) -> str:
        """Put the unit back into the queue; where it has been refused too often, answer that in words instead.

        `wait` seconds are what the medium asks for; `own`: the quota is the account's own, and only time helps.
        """
        if not task.refused:
            task.refused = True
            self._never_refused -= 1
        first, task.refused_before = not task.refused_before, True
        if wait < gate.window:
            task.brief_refusals += 1
            if task.brief_refusals >= BRIEFLY_AT_MOST:
                return f"refused {task.brief_refusals} times"
            wait = min(wait * 2**task.brief_refusals, gate.window) * random.uniform(0.5, 1)  # noqa: S311 - jitter
        else:
            task.refusals += own or (not first and self._others_pass(task, gate))
            task.passes_seen = gate.passes
            if task.refusals >= REFUSED_AT_MOST:
                return f"refused in {task.refusals} windows"
            wait = wait if own else gate.window
        if first and not own:
            self._queue.give_back_first(task)
        else:
            self._queue.give_back_later(task, wait)
        return ""

    def _others_pass(self, task: Task, gate: Gate) -> bool:
        """Since the unit was refused before; or there are no others."""
        nobody_else = self._queue.drained and self._never_refused <= self._queue.parked
        return nobody_else or gate.passes > task.passes_seen


@dataclass(slots=True)
class Row:
    """Refusals of one path since a call passed there last."""

    passes: int = -1
    refused: int = 0
    since: float = 0.0
    told_at: float = -inf


class Standstills:
    """Warns of a medium that refuses one call after the other, on each path. `name` is the medium's."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._rows: dict[str, Row] = {}

    def refused(self, handler: ApiHandler, error: RefusedError) -> None:
        """A call of the interface was refused, and its gate knows. A spent day ends the run, which says so itself."""
        gate, now = error.gate, asyncio.get_running_loop().time()
        row = self._rows.setdefault(handler.path, Row())
        if row.passes != gate.passes:
            row.passes, row.refused, row.since = gate.passes, 0, now
        row.refused += 1
        pause = gate.closed_for()
        pause = pause if pause < inf else 0.0  # another call is under way
        at_once = row.refused > 1 and not gate.passes
        if not at_once and now - row.since + pause < STANDSTILL * gate.window:
            return
        if now - row.told_at >= AGAIN * gate.window and error.windows != REST_OF_DAY:
            row.told_at = now
            log.warning(
                "the medium refuses calls: they wait",
                medium=self._name,
                interface=handler.name(),
                reason=error.reason,
                in_a_row=row.refused,
                for_seconds=round(now - row.since, 1),
                wait_at_least_seconds=round(pause or error.wait, 1),
                gives_up=f"a unit after {_too_often(error)}",
            )


def _too_often(error: RefusedError) -> str:
    """What `Refusals` lets a unit go through, in words."""
    if error.wait < error.gate.window:
        return f"{BRIEFLY_AT_MOST} refusals"
    return f"{REFUSED_AT_MOST} windows in which others pass, or all are refused"
