"""`Governor`: what all dialects have in common. The minute's law is in `window` or `rate`, the day's in `day`."""

from collections import deque
from math import inf
from typing import Literal, NamedTuple

from ark.governor.day import DayBudget
from ark.governor.flow import Call, Flow, Kind, Law, Limit
from ark.governor.rate import RateSearch
from ark.governor.window import AdvertisedWindow

Dialect = Literal["percent", "refusals", "codes"]
"""What a medium tells of its quota: see `ark.governor`."""

HOUR = 3600.0
REMEMBERED = 10_000
"""Refusals of the last hour that are counted at most."""


class Hint(NamedTuple):
    """What one governor learned that may help the next: calls per window, calls per day; 0.0: unknown.

    `boundary` is when a window began, on the clock that `now` is of.
    """

    quota: float = 0.0
    day_quota: float = 0.0
    boundary: float = 0.0
    kind: Kind = ""
    """How the quota is refilled."""


class State(NamedTuple):
    """A governor at one moment. Percents as told last, None: never told; quotas in calls, 0.0: unknown.

    `quota` is a lower bound only, unless it is `firm`.
    """

    day: float | None
    minute: float | None
    quota: float
    firm: bool
    day_quota: float
    in_flight: int
    sent: int
    pace: float
    """Calls per second, over a window."""
    refused: int
    refusals: int
    """Of them, in the last hour."""


class Governor:
    """Paces the calls of one (app, interface). The package's docstring is its promise."""

    def __init__(self, dialect: Dialect, *, window: float = 60.0, cap: int = 50, hint: Hint | None = None) -> None:
        self._cap, self._window, self._flow = cap, window, Flow()
        known = hint or Hint()
        self._law: Law
        if dialect == "percent":
            self._law = AdvertisedWindow(self._flow, window, known.quota, known.boundary)
        else:
            period = window if dialect == "codes" else min(1.0, window)
            self._law = RateSearch(self._flow, window, period, known.quota / window)
        self._day = DayBudget(self._flow, known.day_quota)
        self._minute: float | None = None
        self._refused = 0
        self._refusals: deque[float] = deque(maxlen=REMEMBERED)
        self._marks: deque[tuple[float, int]] = deque()
        self.spent = ""

    def wait(self, now: float) -> float:
        """0.0: one call may be sent now; else seconds until to ask again, inf: not before the next event."""
        flow = self._flow
        if flow.sent - flow.settled >= self._cap or self.spent:
            return inf
        if flow.sent >= self._day.limit:
            if flow.sent == flow.settled:
                self.spent = f"{self._day.reason} is spent"
            return inf
        return self._law.wait(now)

    def sent(self, now: float) -> Call:
        """One call leaves."""
        flow, law = self._flow, self._law
        flow.sent += 1
        law.sent(now)
        return Call(flow.sent, now, flow.settled, law.epoch, law.least)

    def answered(self, call: Call, now: float, day: float | None = None, minute: float | None = None) -> None:
        """Headers are here."""
        call.heard = True
        self._flow.settled += 1
        if minute is not None:
            self._minute = minute
        self._law.answered(call, now, minute)
        self._day.answered(day)

    def refused(self, call: Call, now: float, limit: Limit, retry_in: float = 0.0) -> None:
        """The medium refuses the call."""
        self._settle(call)
        self._refused += 1
        self._refusals.append(now)
        if limit == "day":
            self.spent = "the medium refuses: the day's quota is spent"
        self._law.refused(call, now, limit, retry_in)

    def lost(self, call: Call, now: float) -> None:
        """No information."""
        self._settle(call)
        self._law.lost(call, now)

    def take_share(self, rank: int, of: int, quota: float = 0.0) -> None:
        """Number `rank` of `of` processes that share the scope, of `quota` calls per window."""
        self._law.take_share(rank, of, quota)

    def learn(self, kind: Kind, boundary: float) -> None:
        """What the first process of the fleet has learned of the refills."""
        self._law.learn(kind, boundary)

    def allow(self, calls: int) -> None:
        """At most so many more calls today."""
        self._day.allow(calls)

    def day_left(self) -> int | None:
        """At least so many more calls fit into the day; None: unknown."""
        return self._day.left()

    def state(self, now: float) -> State:
        """To be looked at."""
        while self._refusals and self._refusals[0] < now - HOUR:
            self._refusals.popleft()
        return State(
            self._day.percent,
            self._minute,
            self._law.measured,
            self._law.firm,
            self._day.measured,
            self._flow.in_flight,
            self._flow.sent,
            self._pace(now),
            self._refused,
            len(self._refusals),
        )

    def hint(self) -> Hint:
        """To be kept for the next governor of this scope."""
        law = self._law
        return Hint(law.quota if law.firm else 0.0, self._day.measured, law.boundary, law.kind)

    def _settle(self, call: Call) -> None:
        """The call has ended; where no headers came, the day heard nothing either."""
        if not call.heard:
            call.heard = True
            self._flow.settled += 1
            self._day.answered(None)

    def _pace(self, now: float) -> float:
        """Calls per second between the last two looks that are a window apart: many quotas are spent in one go."""
        marks = self._marks
        marks.append((now, self._flow.sent))
        while len(marks) > 1 and marks[1][0] <= now - self._window:
            marks.popleft()
        since, sent = marks[0]
        return (self._flow.sent - sent) / (now - since) if now > since else 0.0
