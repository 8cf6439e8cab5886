"""The day's quota: the same two formulas as the minute's, with the day's percent; the day is one epoch.

A percent p that an answer tells proves that p - 1 percent of the quota are left: the medium may round up, and may not
have counted the call itself. k own answers in a stretch in which it fell from a to b prove a quota of at least
(k - 1) / ((a - b + 1) percent); others who spend of it make that smaller.
"""

from math import inf

from ark.governor.flow import Flow

FIRM = 2.0
"""Points that the percent has fallen when the quota can be said to be about so large."""
LEAP = 20.0
"""Points that it does not fall from one answer to the next; a second answer has to say so too."""
BLIND = 20
"""Answers in a row without a percent, from which on none is waited for."""
SURELY_ONE = 2.0
"""Percent at which one call is left however small the quota is."""


class DayBudget:
    """How many calls of the flow fit into the day."""

    def __init__(self, flow: Flow, quota: float = 0.0) -> None:
        self._flow = flow
        self.quota = quota
        """Calls per day, as far as is known."""
        self.percent: float | None = None
        self.limit = inf
        """The flow's number of the last call that may be sent."""
        self._most = self._least = 0.0
        self._firm, self._doubted = bool(quota), False
        self._known = self._blind = 0
        self._proven = self._roomy = 0.0
        self._allowed = inf

    def answered(self, percent: float | None) -> None:
        """An answer that tells the day's percent; None: it does not."""
        if percent == self.percent and self._flow.sent < self._roomy:
            self._known += 1
            return
        if percent is not None and self.percent is not None and percent < self.percent - LEAP and not self._doubted:
            self._doubted, percent = True, None
        else:
            self._doubted = False
        self._blind = self._blind + 1 if percent is None else 0
        if percent is not None:
            self._told(percent)
        if self.percent is not None:
            settled = self._flow.settled
            self._proven = max(self._proven, settled + (self._least >= SURELY_ONE))
            if percent is not None and self._least < 1:
                self._proven = settled
        self._set_limit()
        self._roomy = self._flow.settled + (self.limit - self._flow.settled) / 2 if percent is not None else 0.0

    def _told(self, percent: float) -> None:
        if self.percent is None or percent > self._most:  # the first, or another day
            self._most = self._least = percent
            self._known, self._proven = 0, 0.0
        self.percent = percent
        self._known += 1
        self._least = min(self._least, percent)
        fallen = self._most - self._least
        self._firm = self._firm or fallen >= FIRM
        self.quota = max(self.quota, 100.0 * (self._known - 1) / (fallen + 1))
        most = 100.0 * (self._known + self._flow.in_flight) / (fallen - 1) if fallen > 1 else inf
        if self.quota > most:
            self.quota, self._proven = most, 0.0
        left = self.quota * max(self._least - 1, 0.0) / 100
        self._proven = max(self._proven, self._flow.settled + left)

    def allow(self, calls: int) -> None:
        """At most so many more calls of this flow."""
        self._allowed = self._flow.sent + calls
        self._set_limit()

    def left(self) -> int | None:
        """At least so many more calls fit into the day; None: unknown."""
        if self.percent is None or not self._firm:
            return None
        return max(0, int(min(self._proven, self._allowed) - self._flow.sent))

    def _set_limit(self) -> None:
        known = self.percent is not None and self._blind < BLIND
        self.limit = min(self._allowed, int(self._proven) if known else inf)

    @property
    def measured(self) -> float:
        """The quota where it is more than a bound that was never tried; 0.0: unknown."""
        return self.quota if self._firm else 0.0

    @property
    def reason(self) -> str:
        """What is spent when the limit is reached."""
        return "this job's share of the day's quota" if self.limit == self._allowed else "the day's quota"
