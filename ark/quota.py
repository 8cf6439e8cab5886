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
PERIOD = 1.0
"""Seconds; where calls are spaced out, their rate is judged once in that time."""
FEW = 0.02
"""Share of calls refused in a period from which on the rate is lowered to what passed."""
GROWTH, SLOWEST = 1.03, 5.0
"""What the rate grows by in a period without refusals; the least, in calls per second."""


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

    A refusal for less than a window comes from a limit by the second: from then on calls are spaced out at the rate
    that passes, and the gate does not close for another such refusal.
    """

    def __init__(self, window: float) -> None:
        self.window = window
        self.passes = 0
        self._round = 0
        self._rate = 0.0
        self._next_slot = 0.0
        self._refusals = 0
        self._counted: tuple[float, int, int] | None = None
        self._opening: asyncio.TimerHandle | None = None
        self._open = asyncio.Event()
        self._open.set()

    async def permit(self) -> Permit:
        """Wait until the gate is open, and for a slot where calls are spaced out."""
        loop = asyncio.get_running_loop()
        self._counted = self._counted or (loop.time(), 0, 0)
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
            self._judge()

    def refused(self, permit: Permit, windows: float, quota: Quota | None) -> float:
        """Close the gate, or keep it closed for longer."""
        wait = quota.retry_in if quota and quota.retry_in else windows * self.window
        plenty = quota is not None and quota.minute is not None and quota.minute >= PLENTY
        if wait < self.window:
            self._refusals += 1
            spaced_out = bool(self._rate)
            self._judge()
            if spaced_out and not (quota and quota.retry_in):
                return wait
        if permit.round == self._round:
            self._close(min(wait, BRIEF * self.window) if plenty else wait)
        return wait

    def lost(self, permit: Permit) -> None:
        """Nothing to learn either."""

    def _judge(self) -> None:
        """Space calls out: at first at what has passed, then after every period as it went."""
        now = asyncio.get_running_loop().time()
        since, passes, refusals = self._counted or (now, 0, 0)
        if self._rate and now - since < PERIOD:
            return
        passed, refused = self.passes - passes, self._refusals - refusals
        through = passed / max(now - since, PERIOD)
        share = refused / (passed + refused)
        if not self._rate or share >= FEW:
            self._rate = max(SLOWEST, through)
        elif through * GROWTH**2 > self._rate:  # the rate is used
            self._rate *= GROWTH
        self._counted = now, self.passes, self._refusals

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
