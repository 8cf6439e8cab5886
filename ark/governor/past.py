"""Our own calls of the last window: how many of them are a window old."""

from math import inf

SLOTS = 1024
"""Parts of a window in which calls are counted."""
LATER = 0.001
"""Seconds by which a slot's end is passed for sure."""


class Past:
    """Counts calls by the part of the window in which they were sent and in which they settled.

    A medium counts a call at some moment between the two. `gone`: calls that were counted a window ago or longer, for
    sure; `may_be_gone`: calls that may have been.
    """

    def __init__(self, window: float) -> None:
        self._slot_length = window / SLOTS
        self._settled = [0] * (SLOTS + 1)
        self._sent = [0] * SLOTS
        self._slot = 0
        self._turns_at = 0.0
        self.gone = self.may_be_gone = 0

    def note_sent(self, now: float) -> None:
        """One call was sent."""
        if now >= self._turns_at:
            self.turn(now)
        self._sent[self._slot % SLOTS] += 1

    def note_settled(self, now: float) -> None:
        """One call has ended."""
        if now >= self._turns_at:
            self.turn(now)
        self._settled[self._slot % (SLOTS + 1)] += 1

    def turn(self, now: float) -> None:
        """Bring `gone` and `may_be_gone` up to now."""
        slot = int(now / self._slot_length)
        self._turns_at = (slot + 1) * self._slot_length
        for each in range(max(self._slot + 1, slot - SLOTS), slot + 1):
            self.gone += self._settled[each % (SLOTS + 1)]
            self._settled[each % (SLOTS + 1)] = 0
            self.may_be_gone += self._sent[each % SLOTS]
            self._sent[each % SLOTS] = 0
        self._slot = slot

    def until(self, calls: float, now: float) -> float:
        """Seconds until so many more calls are gone; inf: there are not so many."""
        if calls <= 0:
            return 0.0
        for slot in range(self._slot + 1, self._slot + SLOTS + 1):
            calls -= self._settled[slot % (SLOTS + 1)]
            if calls <= 0:
                return slot * self._slot_length - now + LATER
        return inf
