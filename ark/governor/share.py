"""This process's part of a quota that is shared with mates: what it may take, what it leaves to them for a while.

A percent is a round trip old: what the mates took in the last one or two is taken off again, and one point more, for
what they do meanwhile. What mates leave is taken, but they are given time: of a fixed window more than one's part is
free only bit by bit, and of a bucket that is nearly empty nobody takes more than its part.
"""

from math import floor, inf

from ark.governor.flow import Flow
from ark.governor.refill import FULL, Refill

HALF = 50.0
"""Percent."""
LITTLE = 10.0
"""Percent below which a process of a fleet takes no more than its part of what comes back."""
SOON = 0.5
"""Windows by whose end mates that want calls of a fixed window have taken theirs."""
SURELY_ONE = 5.0
"""Percent at which one call is left however small the quota is."""


class Share:
    """Number `rank` of `of` equal parts of a quota of `whole` calls per window; alone it is the only one.

    `whole` 0.0: unknown; `of` 0: no share yet, one call at a time.
    """

    def __init__(self, flow: Flow, window: float, refill: Refill) -> None:
        self._flow, self._window, self._refill = flow, window, refill
        self.rank, self.of, self.whole = 0, 1, 0.0
        self.waits = False
        """More is left of a fixed window, for mates."""
        self._begun_with = 0
        """Calls sent before this stretch."""
        self._marks = (-inf, 0.0), (-inf, 0.0)
        self._worth, self._worth_at = inf, -inf
        """What our calls were worth of late, in calls per window, and when that was found."""

    @property
    def alone(self) -> bool:
        """Nobody else has a part."""
        return self.of == 1

    def take(self, rank: int, of: int, whole: float) -> bool:
        """Another share; False where only the whole may be another."""
        changed = (rank, of) != (self.rank, self.of)
        self.rank, self.of, self.whole = rank, of, whole
        self.waits = self.waits and not changed
        return changed

    def begin_stretch(self) -> None:
        """The quota was refilled."""
        self._begun_with = self._flow.sent

    def begin_to_measure(self, now: float, percent: float) -> None:
        """What mates took before is nothing to go by any more."""
        self._marks = (now, percent), (now, percent)

    def measured(self, quota: float) -> float:
        """In a fleet no more than what the calls of late were worth: shares move on, but an estimate is kept."""
        return quota if self.alone else min(quota, self._worth)

    def part(self, percent: float, quota: float) -> float:
        """Calls that are left for this process at `percent`, at least; `quota`: as measured here."""
        if self.of == 0:
            return float(percent >= SURELY_ONE)
        whole = quota if self.alone else self.whole or quota
        left = float(floor(whole * max(percent - 1, 0.0) / FULL))
        left = max(left, float(percent >= SURELY_ONE))
        return left if self.alone else (left + self.of - 1 - self.rank) // self.of

    def among_mates(self, now: float, least: float, quota: float, rtt: float, heard_at: float, sent_at: float) -> float:
        """The part of what is left at the percent `least`, less what mates do meanwhile, and what is theirs.

        `heard_at`, `sent_at`: when the last answer came, and the last call was sent.
        """
        self._note_worth(now, least)
        left = self.part(least - self._mates_took(now, least, rtt) - 1, quota)
        if now - heard_at > 2 * rtt:
            left = min(left, 1.0)
        mine = self._at_most(now, least, sent_at)
        self.waits = mine < left and self._refill.kind == "fixed"
        return min(left, mine)

    def falling(self, least: float) -> bool:
        """Mates have taken something in the last round trip or two."""
        return self.of > 1 and self._marks[0][1] > least

    def turn(self, seconds: float) -> float:
        """One after the other after so many seconds; all together not more often than something comes back."""
        seconds *= 1 + self.rank / max(self.of, 1)
        if not self.whole or self.alone:
            return seconds
        return max(seconds, min(self._window * self.of / self.whole, self._window / 10))

    def _note_worth(self, now: float, least: float) -> None:
        """What our own calls were worth, as a quota: the most within a window."""
        if least >= HALF:
            return  # too little was taken to tell
        past, sent = self._refill.past, self._flow.sent
        past.turn(now)
        calls = sent - (past.gone if self._refill.kind in ("sliding", "bucket") else self._begun_with)
        worth = FULL * calls / (FULL - least)
        if worth >= self._worth or now > self._worth_at + self._window:
            self._worth, self._worth_at = worth, now

    def _at_most(self, now: float, least: float, sent_at: float) -> float:
        """Calls to take before mates had time to take theirs."""
        part, refill, sent = self.whole / self.of, self._refill, self._flow.sent
        if not self.whole or (refill.kind == "fixed" and refill.next_window(sent_at) <= now):
            return inf
        if refill.kind == "fixed":
            elapsed = (now - refill.high) % self._window / self._window
            return max(part + self.whole * elapsed / SOON - (sent - self._begun_with), 0.0)
        if refill.kind != "sliding" and least < LITTLE:
            return max(part - (sent - refill.past.may_be_gone), 0.0)
        return inf

    def _mates_took(self, now: float, least: float, rtt: float) -> float:
        """Points of the last round trip or two that others have taken."""
        if now - self._marks[1][0] >= rtt:
            self._marks = self._marks[1], (now, least)
        return (self._marks[0][1] - least) * (self.of - 1) / self.of
