"""A unit that the quota refused: it goes again without spending a try, but not for ever."""

import random

from ark.governor.gate import Gate
from handlers.queue import TaskQueue
from handlers.task import Task

REFUSED_AT_MOST = 5
"""Windows in which a unit may be refused while others pass: then the refusal is its own and not the quota's."""
BRIEFLY_AT_MOST = 20
"""Refusals in a row for less than a window that a unit sits out: together about a quarter of an hour."""


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
