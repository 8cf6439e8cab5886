"""The quota: what the medium says is left, and the gate that decides when a call may be sent.

`Gate` is the port, one per (app, interface): `permit` before a call, `answered` when the headers are here, then
`passed` or `refused` as the body says; `lost` where nothing came back.
`WindowGate` is plain and correct: it lets everybody through until the medium refuses, then keeps the whole scope
closed for a window. A gate that paces by what is left takes its place behind the same port.
"""

import asyncio
import re
from functools import lru_cache
from typing import NamedTuple, Protocol

_REMAINING = re.compile(r"\s*(-?\d+)(?:\.\d+)?\s*%?\s*,\s*(-?\d+)(?:\.\d+)?\s*%?\s*", re.ASCII)
_FULL = 100
PLENTY = 5
"""Percent of the minute: with so much left, a refusal does not come from the minute's quota."""
BRIEF = 1 / 60
"""Windows."""
SLOWER, SLOWEST = 0.9, 1.0
"""After a refusal for less than a window: the share of the rate that is kept, and the least, in calls per second."""
QUICKLY, SLOWLY, NEAR = 0.1, 0.01, 0.9
"""What each further pass adds to the rate: far below the rate that was refused, and near it."""
PERIOD = 1.0
"""Seconds over which what passes is measured at least; the rate is lowered once in that time."""
MARGIN = 1.25
"""What passed is measured over times at which the gate was closed: the limit may lie so much higher."""


class Quota(NamedTuple):
    """What an answer's headers say of this app's calls on this interface; None or 0: they do not say.

    `day` and `minute` are whole percents that are left, `retry_in` seconds to wait after a refusal.
    """

    day: int | None = None
    minute: int | None = None
    retry_in: float = 0


@lru_cache(maxsize=256)
def parse_remaining(header: str | None) -> Quota | None:
    """`X-RateLimit-Remaining: 99%,74%` (day, minute) as a Quota; None for whatever cannot be read, never an error."""
    match = _REMAINING.fullmatch(header) if header and len(header) < _FULL else None
    if not match:
        return None
    day, minute = int(match[1]), int(match[2])
    return Quota(day, minute) if 0 <= day <= _FULL and 0 <= minute <= _FULL else None


class Permit(NamedTuple):
    """Leave to send one call; `round` counts how often the gate had opened before."""

    round: int


class Gate(Protocol):
    """When a call of one (app, interface) may be sent. All times in seconds."""

    window: float
    """Length of the medium's minute window."""
    passes: int
    """Calls that were not refused, so far."""

    async def permit(self) -> Permit:
        """Wait until a call may be sent."""

    def answered(self, permit: Permit, quota: Quota | None) -> None:
        """The headers of an answer are here, its body is not yet read; None: they do not say what is left."""

    def passed(self, permit: Permit) -> None:
        """The body shows that the quota let the call through."""

    def refused(self, permit: Permit, windows: float, quota: Quota | None) -> float:
        """The body refuses the call for `windows` windows; `quota` is what the same answer's headers say.

        Answers how many seconds the refused call should wait.
        """

    def lost(self, permit: Permit) -> None:
        """The call brought no information: a time-out, a cut connection."""


class WindowGate:
    """Open until a refusal, then closed for the windows that the refusal names.

    Refusals of calls that were under way when the gate closed do not close it longer, unless they name a longer wait.
    Where the refusing answer itself says how long to wait, that holds. Where it says that many calls are left, the gate
    closes only for BRIEF, although the refused call waits for a window: it is not the minute that is used up.

    A refusal for less than a window comes from a limit by the second: from then on calls are spaced out, at a little
    less than the rate that passed, and slowly faster again.
    """

    def __init__(self, window: float) -> None:
        self.window = window
        self.passes = 0
        self._round = 0
        self._rate = self._ceiling = 0.0
        self._next_slot = 0.0
        self._measured: tuple[float, int] | None = None
        self._opening: asyncio.TimerHandle | None = None
        self._open = asyncio.Event()
        self._open.set()

    async def permit(self) -> Permit:
        """Wait until the gate is open, and for a slot where calls are spaced out."""
        loop = asyncio.get_running_loop()
        self._measured = self._measured or (loop.time(), 0)
        while True:
            await self._open.wait()
            if self._rate:
                slot = max(loop.time(), self._next_slot)
                self._next_slot = slot + 1 / self._rate
                await asyncio.sleep(slot - loop.time())
            if self._open.is_set():
                return Permit(self._round)

    def answered(self, permit: Permit, quota: Quota | None) -> None:
        """Nothing to learn for a gate that only closes on refusals."""

    def passed(self, permit: Permit) -> None:  # noqa: ARG002 - the port's
        """Count it: a unit that is refused again and again is judged by whether others pass."""
        self.passes += 1
        if self._rate:
            self._rate += QUICKLY if self._rate < NEAR * self._ceiling else SLOWLY

    def refused(self, permit: Permit, windows: float, quota: Quota | None) -> float:
        """Close the gate, or keep it closed for longer."""
        wait = quota.retry_in if quota and quota.retry_in else windows * self.window
        plenty = quota is not None and quota.minute is not None and quota.minute >= PLENTY
        if permit.round == self._round:
            if wait < self.window:
                self._slow_down()
            self._close(min(wait, BRIEF * self.window) if plenty else wait)
        return wait

    def lost(self, permit: Permit) -> None:
        """Nothing to learn either."""

    def _slow_down(self) -> None:
        """What passed since the last time, with all that was waited, is about what the limit lets through."""
        now = asyncio.get_running_loop().time()
        since, before = self._measured or (now, 0)
        if self._rate and now - since < PERIOD:
            return
        passed = (self.passes - before) / max(now - since, PERIOD)
        self._ceiling = self._rate or passed
        self._rate = max(SLOWEST, SLOWER * (min(passed * MARGIN, self._rate) if self._rate else passed))
        self._measured = now, self.passes

    def _close(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        reopen = loop.time() + seconds
        if self._opening is not None:
            if self._opening.when() >= reopen:
                return
            self._opening.cancel()
        self._open.clear()
        self._opening = loop.call_at(reopen, self._reopen)

    def _reopen(self) -> None:
        self._round += 1
        self._opening = None
        self._open.set()
