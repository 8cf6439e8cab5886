"""The day's quota: the same two formulas as the minute's, with the day's percent; the day is one epoch.

A percent p that an answer tells proves that more than p - 1 percent of the quota are left (the medium may round up), and
one call at least where p is 1 or more. k own answers in a stretch in which it fell from a to b prove a quota of at least
(k - 1) / ((a - b + 1) percent); others who spend of it make that smaller.
"""

from math import inf

from ark.governor.flow import Call, Flow


class DayBudget:
    """How many calls of the flow fit into the day."""

    def __init__(self, flow: Flow, quota: float = 0.0) -> None:
        self._flow = flow
        self.quota = quota
        """Calls per day, as far as is known."""
        self.percent: float | None = None
        self.limit = inf
        """The flow's number of the last call that may be sent."""
        self.spent = ""
        self._most = self._least = 0.0
        self._known = 0
        self._proven = 0.0
        self._allowed = inf

    def answered(self, call: Call, percent: float | None) -> None:
        """An answer that tells the day's percent; None: it does not."""
        if percent is None:
            return
        if self.percent is None or percent > self._most:  # the first, or another day
            self._most = self._least = percent
            self._known, self._proven = 0, 0.0
        self.percent = percent
        self._known += 1
        self._least = min(self._least, percent)
        measured = 100.0 * (self._known - 1) / (self._most - self._least + 1)
        if measured > self.quota:
            self.quota = measured
        settled = self._flow.settled
        here = settled + self.quota * max(self._least - 1, 0.0) / 100 + (self._least >= 1)
        self._proven = max(self._proven, here)
        if self._least < 1:
            self._proven = settled
        self._set_limit()

    def allow(self, calls: int) -> None:
        """At most so many more calls of this flow."""
        self._allowed = self._flow.sent + calls
        self._set_limit()

    def left(self) -> int | None:
        """At least so many more calls fit into the day; None: unknown."""
        if self.percent is None or not self.quota:
            return None
        return max(0, int(min(self._proven, self._allowed) - self._flow.sent))

    def _set_limit(self) -> None:
        self.limit = min(self._allowed, int(self._proven) if self.percent is not None else inf)
        if self._flow.sent >= self._allowed:
            self.spent = "this job's share of the day's quota is spent"
        elif self.percent is not None and self._least < 1:
            self.spent = "the day's quota is spent"
