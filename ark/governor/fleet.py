"""Processes that share a scope, (app, interface), share its quota: leases of shares, kept in Redis.

    fleets = Fleets(directory, Clock(loop.time, time.time))     # one per process; `directory`: where Redis is
    hint = await fleets.hint(scope, window)                     # what earlier processes learned; never raises
    governor = Governor(dialect, window=window, hint=hint)
    await fleets.join(scope, governor, who, window=window, changed=gate.wake)   # returns at once; never raises
    ...
    await fleets.aclose()                                       # gives all shares back; before directory.aclose()

To look at, `await fleets.looks()`; that does raise ServiceDownError.

Without Redis each process goes on with the share it had, or with what it measures by itself where it never had one. No
call ever waits for Redis.
"""

import asyncio
from collections.abc import Callable
from math import isfinite
from secrets import token_hex
from typing import TYPE_CHECKING, NamedTuple

from ark.cancelling import end
from ark.governor.fleet_reports import Kept, Look, Member, Report, Who
from ark.governor.fleet_store import FleetStore, Lease
from ark.governor.flow import Kind
from ark.governor.policy import Governor, Hint, State

if TYPE_CHECKING:
    from ark.accounts.directory import Directory

__all__ = ["Clock", "Fleet", "Fleets", "Kept", "Look", "Member", "Report", "Who"]

CALLS_PER_CALL = 0.08
"""Calls of Redis per call of the medium."""
SHORTEST = 0.2
"""Seconds between two renewals at least; of a long window more: a part of it."""
PARTS = 120
OWED = 2.0
"""Seconds after which a process without a share takes the part that it is owed, whatever the others still hold."""
RETRY = 5.0
"""Seconds after which a Redis that is away is asked again."""


class Clock(NamedTuple):
    """`now`: the clock that the governor is asked by (`loop.time`); `unix`: seconds since 1970 (`time.time`)."""

    now: Callable[[], float]
    unix: Callable[[], float]

    def of_window(self, boundary: float, window: float) -> float:
        """When the present window began by `now`'s clock, where one began at `boundary` by the other; 0.0: unknown."""
        return self.now() - (self.unix() - boundary) % window if boundary else 0.0


class Fleets:
    """All fleets of this process."""

    def __init__(self, directory: "Directory", clock: Clock) -> None:
        self._store, self._clock = FleetStore(directory), clock
        self._open: list[Fleet] = []

    async def hint(self, scope: str, window: float) -> Hint | None:
        """What earlier processes learned, `boundary` on this process' clock; None: nothing, or Redis is away."""
        try:
            kept = await self._store.kept(scope)
        except Exception as error:  # noqa: BLE001  a hint fails no run
            self._store.note(error)
            return None
        if kept is None:
            return None
        boundary = self._clock.of_window(kept.boundary, window)
        return Hint(kept.quota, kept.day_quota, boundary, _kind(kept.kind))

    async def join(
        self, scope: str, governor: Governor, who: Who, *, window: float, changed: Callable[[], None] = lambda: None
    ) -> "Fleet":
        """Begin to share `scope`. Until Redis has answered the governor has no share yet: one call at a time.

        `changed` is called whenever the governor was given another share. `window` is in seconds.
        """
        fleet = Fleet(self._store, scope, governor, who, window=window, clock=self._clock, changed=changed)
        self._open.append(fleet)
        await fleet.start()
        return fleet

    async def aclose(self) -> None:
        """Give back every share; takes as long as one call of Redis."""
        fleets, self._open = self._open, []
        await asyncio.gather(*(fleet.stop() for fleet in fleets))

    async def scopes(self) -> list[str]:
        """The scopes that were used of late, by name."""
        return await self._store.scopes()

    async def look(self, scope: str) -> Look:
        """One scope as it is now; one that nobody used is empty."""
        return await self._store.look(scope)

    async def looks(self) -> list[Look]:
        """All of `scopes`."""
        return [await self.look(scope) for scope in await self.scopes()]


class Fleet:
    """This process in one scope: it reports, and renews its share before the lease of it ends."""

    def __init__(
        self,
        store: FleetStore,
        scope: str,
        governor: Governor,
        who: Who,
        *,
        window: float,
        clock: Clock,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._store, self._scope, self._governor, self._who = store, scope, governor, who
        self._window, self._clock, self._changed = window, clock, changed
        self._worker = token_hex(8)
        self._hint = governor.hint()
        self._sent = self._refused = 0
        self._period = self._shortest = max(SHORTEST, window / PARTS)
        self._trip = 0.0
        self._joined = clock.now()
        self._share: tuple[int, int, float] | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to keep a share; returns at once."""
        self._take(0, 0, 0.0)
        self._task = asyncio.create_task(self._keep(), name=f"fleet {self._scope}")

    async def stop(self) -> None:
        """Give the share back; the governor goes on by itself. Raises nothing, takes as long as one call of Redis."""
        if self._task is None:
            return
        await end(self._task)
        self._task = None
        self._take(0, 1, 0.0)
        try:
            await self._report(0.0)
        except Exception as error:  # noqa: BLE001  it ends by itself
            self._store.note(error)

    async def _keep(self) -> None:
        while True:
            try:
                pause = await self._renew()
            except Exception as error:  # noqa: BLE001  a fleet fails no run
                self._store.note(error)
                pause = self._do_without()
            await asyncio.sleep(pause)

    async def _renew(self) -> float:
        """Renew the lease; seconds until to do so again."""
        begun, period = self._clock.now(), self._period
        ttl = period + max(1.0, min(2 * period, self._window / 2)) + 2 * self._trip
        lease = await self._report(ttl)
        self._trip = self._clock.now() - begun
        self._governor.learn(_kind(lease.kind), self._clock.of_window(lease.boundary, self._window))
        if lease.of or begun < self._joined + OWED:
            self._take(lease.rank, lease.of, lease.quota)
        else:  # whoever holds too much has died, or renews rarely: nobody waits for that long
            self._take(lease.members - 1, lease.members, lease.quota)
        self._period = self._next_period(lease)
        return min(period, self._period)  # a longer one is covered by the next lease only

    def _next_period(self, lease: Lease) -> float:
        """So long that all members together call Redis CALLS_PER_CALL times per call."""
        if lease.pace:
            return max(self._shortest, min(lease.members / lease.pace / CALLS_PER_CALL, self._window))
        return max(self._shortest, min(2 * self._period, self._window / 2))

    def _do_without(self) -> float:
        """Redis is away: keep the share, or go on alone where there never was one; seconds until to ask again."""
        if self._share is None or not self._share[1]:
            self._take(0, 1, 0.0)
        return RETRY

    def _take(self, rank: int, of: int, quota: float) -> None:
        share = rank, of, quota
        self._governor.take_share(*share)
        if share != self._share:
            self._share = share
            self._changed()

    async def _report(self, ttl: float) -> Lease:
        now = self._clock.now()
        state, hint = self._governor.state(now), self._governor.hint()
        boundary = hint.boundary + self._clock.unix() - now if hint.boundary else 0.0
        lease = await self._store.renew(
            self._scope,
            self._worker,
            self._as_told(state),
            ttl=ttl,
            window=self._window,
            moved=state.sent > self._sent,
            refusals=state.refused - self._refused,
            kind=hint.kind,
            boundary=boundary,
        )
        self._sent, self._refused = state.sent, state.refused
        return lease

    def _as_told(self, state: State) -> Report:
        """What was a hint only is not told as measured: in a fleet it would be counted once for each member."""
        return Report(
            self._who,
            quota=_finite(state.quota) if state.quota != self._hint.quota else 0.0,
            day_quota=_finite(state.day_quota) if state.day_quota != self._hint.day_quota else 0.0,
            firm=state.firm,
            pace=_finite(state.pace),
            day=state.day,
            minute=state.minute,
            sent=state.sent,
            refused=state.refusals,
            in_flight=state.in_flight,
            spent=self._governor.spent,
        )


def _kind(text: str) -> Kind:
    """What a process of another version may call it is nothing to go by."""
    match text:
        case "fixed" | "sliding" | "bucket":
            return text
    return ""


def _finite(number: float) -> float:
    return number if isfinite(number) else 0.0
