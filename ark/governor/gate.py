"""The permit: a governor in asyncio. Who may not send yet waits in one line, with one timer for all of them.

`permit` before a call, `answered` when its headers are here, then exactly one of `passed` and `refused`, as the body
says, or `lost` where nothing came.
"""

import asyncio
from collections import deque
from contextlib import suppress
from math import inf

from ark.errors import LaterError
from ark.governor.flow import Call, Limit
from ark.governor.policy import Governor, State
from ark.quota import Quota

Permit = Call
"""Leave to send one call."""

PLENTY = 5
"""Percent of the minute: with so much left, a refusal does not come from the minute's quota."""
REST_OF_DAY = inf
"""Windows of a refusal that holds until the day is over."""
LOOK_AGAIN = 1.0
"""Seconds after which a governor is asked again that waits for an event: a share may have come to it meanwhile."""
SOONEST = 0.001
"""Seconds; the finest step of a loop whose timers count milliseconds."""

_loop = asyncio.get_running_loop


class Gate:
    """When a call of one (app, interface) may be sent; `window` is the seconds of the medium's minute.

    Permits go out in the order in which they were asked for. Whoever is cancelled while it waits takes nothing along.
    """

    def __init__(self, governor: Governor, window: float) -> None:
        self.governor = governor
        self.window = window
        self.passes = 0
        """Calls that were not refused, so far."""
        self._waiting: deque[asyncio.Future[Permit | None]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._due = inf

    @property
    def waiting(self) -> int:
        """How many wait for their permit."""
        return len(self._waiting)

    async def permit(self) -> Permit:
        """Wait until a call may be sent. Raises LaterError once that is not before tomorrow."""
        if not self._waiting:
            now = _loop().time()
            if self.governor.wait(now) == 0.0:
                return self.governor.sent(now)
        return await self._wait()

    def answered(self, permit: Permit, quota: Quota | None) -> None:
        """The headers of an answer are here, its body is not yet read; None: they do not say what is left."""
        now = _loop().time()
        if quota is None:
            self.governor.answered(permit, now)
        else:
            self.governor.answered(permit, now, quota.day, quota.minute)
        if self._waiting:
            self._let_go(now)

    def passed(self, permit: Permit) -> None:
        """The body shows that the quota let the call through."""
        self.passes += 1
        if not permit.heard:
            self.answered(permit, None)

    def refused(self, permit: Permit, windows: float, quota: Quota | None) -> float:
        """The body refuses the call for `windows` windows; `quota` is what the same answer's headers say.

        Answers how many seconds that is for the refused call.
        """
        now = _loop().time()
        told = quota.retry_in if quota else 0.0
        wait = told or windows * self.window
        limit = _limit(windows, quota)
        self.governor.refused(permit, now, limit, told or (wait if limit == "minute" and windows > 1 else 0.0))
        if self._waiting:
            self._let_go(now)
        return wait

    def lost(self, permit: Permit) -> None:
        """The call brought no information: it was never sent, timed out, or was cut off."""
        if permit.heard:  # it broke off in its body: what the headers said holds
            return
        now = _loop().time()
        self.governor.lost(permit, now)
        if self._waiting:
            self._let_go(now)

    def closed_for(self) -> float:
        """Seconds until somebody who came now would get a permit, as far as is known; inf: not before an event."""
        return self.governor.wait(_loop().time()) or (LOOK_AGAIN if self._waiting else 0.0)

    def wake(self) -> None:
        """Look anew: something has changed that the governor knows of and the gate does not."""
        self._let_go(_loop().time())

    def state(self) -> State:
        """To be looked at."""
        return self.governor.state(_loop().time())

    async def _wait(self) -> Permit:
        waiter: asyncio.Future[Permit | None] = _loop().create_future()
        self._waiting.append(waiter)
        if len(self._waiting) == 1:
            self.wake()
        try:
            permit = await waiter
        except asyncio.CancelledError:
            if waiter.cancelled():
                with suppress(ValueError):
                    self._waiting.remove(waiter)
            elif (permit := waiter.result()) is not None:
                self.lost(permit)
            raise
        if permit is None:
            raise LaterError(f"{self.governor.spent}: run what is open after 00:00 Asia/Shanghai")
        return permit

    def _let_go(self, now: float) -> None:
        """Give a permit to as many as may go, and see to it that the next is looked after in time."""
        governor, waiting = self.governor, self._waiting
        while waiting:
            if governor.spent:
                _resolve(waiting.popleft(), None)
                continue
            pause = governor.wait(now)
            if pause > 0.0:
                self._ring_at(now + (max(pause, SOONEST) if pause < inf else LOOK_AGAIN))
                return
            waiter = waiting.popleft()
            if not waiter.done():
                waiter.set_result(governor.sent(now))

    def _ring_at(self, due: float) -> None:
        """One timer, for the earliest moment; one that rings in vain is set anew then."""
        if self._timer is not None:
            if self._due <= due:
                return
            self._timer.cancel()
        self._due, self._timer = due, _loop().call_at(due, self._ring)

    def _ring(self) -> None:
        self._timer = None
        self._let_go(_loop().time())


def _limit(windows: float, quota: Quota | None) -> Limit:
    """Which quota a refusal for so many windows names; a minute of which plenty is left is not the one."""
    if windows == REST_OF_DAY:
        return "day"
    plenty = quota is not None and quota.minute is not None and quota.minute >= PLENTY
    return "second" if windows < 1 or plenty else "minute"


def _resolve(waiter: "asyncio.Future[Permit | None]", permit: Permit | None) -> None:
    if not waiter.done():
        waiter.set_result(permit)
