"""How and when a quota comes back: what answers have shown of the medium's kind of counter.

A rise far up is a new fixed window, and tells where windows begin: between the call that was told the old percent last
and the answer that tells the new one; each further one makes that narrower. A smooth rise is a bucket that fills, or
calls that are a window old: where nothing came back while we hardly called, it is no bucket.

In a fleet mates may have taken much of a new window before it is seen, and a rise that is not far tells nothing; but
two rises within less than a window cannot both be new windows.
"""

from math import floor, inf

from ark.governor.flow import Call, Kind
from ark.governor.past import Past

FRESH, JUMP = 80.0, 10.0
"""Percent: a rise to FRESH or more, by JUMP or more, is a new window."""
NEARLY_FULL, FULL = 90.0, 100.0
"""Percent."""
SMOOTH_FOR = 3
"""Windows after a smooth rise in which a rise far up is not taken for a new window."""
DRY_AFTER = 1 / 20
"""Windows without a rise that show that it is no bucket; it would have filled by five percent."""
TWICE = 0.9
"""Windows: of two rises within so many one at least is no new window."""
LATE = 0.02
"""Seconds after the latest moment at which a window may begin."""
NARROW = 1 / 300
"""Windows, and three round trips at least: a boundary that is known so well needs no probes."""


class Refill:
    """What is known of one scope's refills. `low` and `high`: a window began between the two; 0.0: unknown."""

    def __init__(self, window: float, boundary: float = 0.0) -> None:
        self._window = window
        self.kind: Kind = ""
        self.low = self.high = boundary
        self.past = Past(window)
        self.seen_at = -inf
        """When the newest call was sent of which the percent is known that belongs to this stretch."""
        self.since = inf
        """Within a window from then on something comes back for sure."""
        self._due = inf
        self._smooth_until = -inf
        self._dry = False
        self._idle = (inf, 0)
        self._risen_since = -inf
        """The last rise came after that."""

    def heard(self, call: Call, now: float, percent: float, quota: float) -> None:
        """An answer that shows no rise."""
        if percent >= NEARLY_FULL:  # a refill would hardly show
            self.since = now
        self.since = min(self.since, now)
        self.seen_at = max(self.seen_at, call.sent_at)
        self._look_whether_dry(call, 0.0, quota)
        if call.sent_at >= self._due and call.least < FRESH - JUMP:  # a window should have begun, and did not
            self._came_smoothly(now)

    def idle(self, now: float, sent: int) -> None:
        """Nothing may be sent any more but probes."""
        if self._idle[0] == inf:
            self._idle = (now, sent)

    def rose(self, call: Call, now: float, percent: float, quota: float, *, alone: bool) -> None:
        """The percent rose from `call.least` to `percent`; of a new window mates may have taken much already."""
        rise = percent - call.least
        if alone:
            self._look_whether_dry(call, rise, quota)
        twice, self._risen_since = now < self._risen_since + TWICE * self._window, self.seen_at
        self._idle = (inf, 0)
        faster = not alone and rise > JUMP + 100 * (now - self.seen_at) / self._window
        hardly_used = rise < JUMP and percent >= FRESH
        far = rise >= JUMP and (percent >= FRESH or faster)
        if hardly_used:
            pass  # any kind of counter may do that
        elif not alone and twice:
            self._came_smoothly(now)
        elif not alone and not far:
            pass  # of a new window mates may have taken much before this look
        elif not far:
            self._came_smoothly(now)
        elif now >= self._smooth_until:
            self.kind = "fixed"
            self._began(self.seen_at, now)
        self.seen_at = call.sent_at
        self.since = now
        anywhere = self.high - self.low >= self._window
        began = now if hardly_used and anywhere else self.high
        self._due = began + self._window + LATE / 2 if self.kind == "fixed" and alone else inf

    def _look_whether_dry(self, call: Call, rise: float, quota: float) -> None:
        """A bucket fills while hardly anything is sent; what comes back less than half as fast is none."""
        since, number = self._idle
        if call.number - number > 2 + quota / 40:
            self._idle = (inf, 0)
        for_windows = (call.sent_at - since) / self._window
        self._dry = self._dry or (for_windows > DRY_AFTER and rise < FULL / 2 * for_windows)

    def _came_smoothly(self, now: float) -> None:
        self._smooth_until = now + SMOOTH_FOR * self._window
        self._due = inf
        if self.kind in ("", "fixed"):
            self.kind = "sliding" if self._dry else "bucket"

    def adopt(self, kind: Kind, boundary: float) -> None:
        """Believe a mate, who may have looked while we did not call; a proof that there are no windows holds."""
        if kind not in (self.kind, "fixed"):
            self._smooth_until = self.seen_at + SMOOTH_FOR * self._window
        self.kind, self._due = kind, inf
        self.low = self.high = boundary

    def width(self, rtt: float) -> float:
        """Seconds within which a fixed window's beginning is known; 0.0: well enough."""
        width = self.high - self.low
        return width if self.kind == "fixed" and width > max(3 * rtt, NARROW * self._window) else 0.0

    def next_window(self, since: float) -> float:
        """When a fixed window has begun for sure, after `since`."""
        return self.high + LATE + (floor((since - self.high) / self._window) + 1) * self._window

    @property
    def within_a_window(self) -> float:
        """When something has come back for sure, of whatever kind it is; -inf: nothing is known."""
        return self.since + self._window + LATE if self.since < inf else -inf

    def _began(self, earliest: float, latest: float) -> None:
        """A window began between the two; what was known before, whole windows ago, may narrow that."""
        if self.high:
            ago = round((latest - self.high) / self._window) * self._window
            low, high = max(self.low + ago, earliest), min(self.high + ago, latest)
            if low <= high:
                self.low, self.high = low, high
                return
        self.low, self.high = earliest, latest
