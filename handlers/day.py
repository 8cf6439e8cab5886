"""The day's quota in a run: how many of its units fit today, and how much of it the run may use."""

from collections.abc import Callable
from math import inf

from ark.governor.gate import Gate
from ark.quota import Quota

JUMP = 10
"""Points by which the day's percent must rise to be another day's."""
CALLS, POINTS = 50, 10
"""So many calls of our own, or points of the percent, between two of its falls tell the size of the day's quota."""
OVERTAKING = 3
"""Times the calls in flight, which may have come to the medium in any order: fewer calls tell nothing."""
MUCH = 0.1
"""Share by which a forecast must change to be told again, and not before a window has passed; then two, then four."""
WHOLE = 100


class DayWatch:
    """Learns the size of the day's quota from the moments at which the percent in the answers falls.

    Between two falls our own calls are known exactly; what others spend meanwhile makes the quota look smaller, which
    is on the safe side. `planned` is how many units the run is to do, `ended` tells how many of them have been called
    for the last time; `tell` is told how many fit today, where that is not all, and what has become of it since.
    """

    def __init__(
        self,
        gate: Gate,
        share: int,
        planned: int,
        *,
        ended: Callable[[], int],
        tell: Callable[[int], None],
        clock: Callable[[], float],
    ) -> None:
        self._gate, self._share, self._planned = gate, share, planned
        self._ended, self._tell, self._clock = ended, tell, clock
        self._quota = gate.state().day_quota
        self._answers = 0
        self._before = 0
        """Calls of the days before."""
        self._least: int | None = None
        self._first: tuple[int, int] | None = None
        """The first fall: percent, number of its call."""
        self._told = planned
        self._pause, self._quiet_until = gate.window, -inf

    def heard(self, number: int, quota: Quota | None) -> None:
        """What an answer of the interface says is left; it answers the gate's call of that number.

        Answers overtake each other: only the numbers tell how many calls came before one at the medium.
        """
        self._answers += 1
        percent = quota.day if quota else None
        if percent is None or (self._least is not None and self._least <= percent < self._least + JUMP):
            return
        if self._least is None or percent > self._least:  # the first answer, or another day
            self._first = None
            self._before = self._gate.state().sent if self._least is not None else 0
        elif self._first is None:
            self._first = percent, number
        else:
            self._measure(percent, number)
        self._least = percent
        if self._quota:
            self._look(percent)

    def _measure(self, percent: int, number: int) -> None:
        assert self._first is not None
        points, calls = self._first[0] - percent, number - self._first[1]
        if calls >= CALLS or (points >= POINTS and calls > OVERTAKING * self._gate.state().in_flight):
            self._quota = WHOLE * calls / points

    def _look(self, percent: int) -> None:
        left = self._quota * percent / WHOLE
        if self._share < WHOLE:
            allowed = max(0.0, self._quota * self._share / WHOLE + self._before - self._gate.state().sent)
            self._gate.governor.allow(int(allowed))
            self._gate.wake()
            left = min(left, allowed)
        ended = self._ended()
        per_unit = self._answers / ended if ended else 1.0
        self._consider(min(ended + int(left / per_unit), self._planned))

    def _consider(self, fit: int) -> None:
        """Tell it where that is news; of a percent that jumps about not every jump is."""
        news = abs(fit - self._told) > MUCH * self._told or fit < self._planned == self._told
        now = self._clock()
        if news and now >= self._quiet_until:
            self._quiet_until, self._pause = now + self._pause, 2 * self._pause
            self._told = fit
            self._tell(fit)
