"""The law of media that tell a percent: the integer percent in each answer is read as TCP reads an advertised window.

A percent p proves that more than p - 1 percent of the quota are left (the medium may round up), one call at least where
p is 1 or more; calls in flight may or may not be in it. So with S calls sent, C settled, and the least percent of this
stretch, calls up to number

    limit = C - unclear + quota x (least - 1) / 100 + 1

may be sent, whatever the kind of counter. A limit that was right stays right while nobody else spends: the highest one
holds, and where percents fall faster than our own calls explain, others spend (or the quota is smaller), and only the
newest does. `unclear` are settled calls that the least percent may not have in it yet: answers without a readable
percent, lost calls, answers from before the last refill; each until the answer of a call that was sent later.

The quota is what calls and percents prove: k calls in which it fell by d points in t seconds are at least
k / ((d + 1) / 100 + t / window) of a counter of any kind, alone; k / ((d - 1) / 100) at most.

A stretch ("epoch") ends when the percent rises between a call and one that was sent after its answer. A rise far up is
a new fixed window, and tells where windows begin. A percent that does not rise for a whole window and then
smoothly is a sliding window: there our own calls come back when they are a window old.
"""

from collections import deque
from math import floor, inf

from ark.governor.flow import Call, Flow, Limit
from ark.governor.rate import RateSearch

FRESH, JUMP = 80.0, 10.0
"""Percent; a rise to FRESH or more, by JUMP or more, is a new window."""
FIRM = 10.0
"""Points that the percent has fallen when the quota can be said to be at most something."""
BLIND = 20
"""Answers in a row without a percent, from which on the pace is searched for by refusals."""
SLOTS = 256
"""Parts of a window in which settled calls are counted, to know when they are a window old."""
LATE = 0.02
"""Seconds after the latest moment at which a window may begin."""


class AdvertisedWindow:
    """Paces one scope by the percent of the minute's quota that answers tell."""

    def __init__(self, flow: Flow, window: float, cap: int, quota: float = 0.0, boundary: float = 0.0) -> None:
        self._flow, self._window, self._cap = flow, window, cap
        self.quota = quota
        self.least = inf
        self.epoch = 0
        self._limit = 1.0
        self._most = self._left = 0.0
        self._known = self._base = 0
        self._since = self._first = -inf
        self._unclear: deque[int] = deque()
        self._blind = 0
        self._others_until = -inf
        self._rank, self._of, self._whole = 0, 1, 0.0
        self._closed_until = -inf
        self._forgiven = 0
        self._rtt = 0.0
        self._last_sent = -inf
        self._last_heard = self._seen_at = -inf
        self._probes = 0
        self._kind = ""
        self._dry = False
        self._smooth_until = -inf
        self._idle = (inf, 0)
        self._low, self._high = (boundary, boundary) if boundary else (0.0, 0.0)
        self._slots = [0] * (SLOTS + 1)
        self._sends = [0] * SLOTS
        self._gone = self._may_be_gone = 0
        self._best = -inf
        self._slot = 0
        self._search: RateSearch | None = None

    @property
    def boundary(self) -> float:
        """When a window began, at the latest; 0.0: unknown."""
        return self._high

    def wait(self, now: float) -> float:
        if now < self._closed_until:
            return self._closed_until - now
        if self._search is not None:
            return self._search.wait(now)
        if self._flow.sent < self._limit - self._kept():
            return 0.0
        self._turn(now)
        return self._pause(now)

    def _kept(self) -> float:
        """Calls kept back to look with when the quota is refilled, as long as that is not well known."""
        if self._known < 3:
            return 0.0
        if not self._kind:
            return max(3.0, self.quota / 200)
        if self._kind == "fixed" and self._high - self._low > max(3 * self._rtt, 0.2):
            return min(max(2.0, self.quota / 400), 8.0)
        return 0.0

    def sent(self, now: float) -> None:
        if self._search is not None:
            self._search.sent(now)
        self._turn(now)
        self._sends[self._slot % SLOTS] += 1
        self._last_sent = now
        if self._flow.sent > self._limit:
            self._probes += 1
            self._limit = self._flow.sent

    def answered(self, call: Call, now: float, minute: float | None) -> None:
        self._last_heard = now
        if self._first < 0:
            self._first = now
        self._turn(now)
        self._slots[self._slot % (SLOTS + 1)] += 1
        self._rtt += (now - call.sent_at - self._rtt) / 16 if self._rtt else now - call.sent_at
        if minute is None:
            self._told_nothing(call, now)
            return
        self._blind, self._search = 0, None
        while self._unclear and self._unclear[0] < call.number:
            self._unclear.popleft()
        if call.epoch != self.epoch:
            self._unclear.append(self._flow.sent)
            return
        if minute > call.least:
            self._rise(call, now, minute)
        else:
            self._known += 1
            self._seen_at = max(self._seen_at, call.sent_at)
            self._dry = self._dry or self._is_dry(call)
            if self._known == 1:
                self._most, self._since = minute, call.sent_at
            if minute < self.least:
                self.least = minute
                self._measure(now)
        self._set_limit(now)

    def refused(self, call: Call, now: float, limit: Limit, retry_in: float) -> None:
        if self._search is not None:
            self._search.refused(call, now, limit, retry_in)
            return
        if retry_in:
            self._closed_until = max(self._closed_until, now + retry_in)
        elif limit == "second":
            self._closed_until = max(self._closed_until, now + self._window / 60)
        if limit == "second" or call.number <= self._forgiven:
            return
        self._forgiven = self._flow.sent
        self._others_until = now + 3 * self._window
        self.quota *= 0.97
        self.least = 0.0
        self._left = 0.0
        self._limit = self._flow.settled
        self._probes += 1

    def lost(self, call: Call, now: float) -> None:
        self._unclear.append(self._flow.sent)

    def take_share(self, rank: int, of: int, quota: float) -> None:
        self._rank, self._of, self._whole = rank, of, quota
        self._left = self._share(self.least)

    def _told_nothing(self, call: Call, now: float) -> None:
        self._unclear.append(self._flow.sent)
        self._blind += 1
        if self._blind == BLIND:
            pace = self.quota / self._window if self.quota else 1000 / 60
            self._search = RateSearch(self._flow, self._window, self._window, pace)

    def _is_dry(self, call: Call) -> bool:
        """While we hardly called, nothing came back: it is no bucket."""
        since, sent = self._idle
        if call.number - sent > 2 + self.quota / 40:
            self._idle = (inf, 0)
        return call.sent_at - since > self._window / 20

    def _rise(self, call: Call, now: float, minute: float) -> None:
        """The quota was refilled between `call.least` and this call."""
        if not (minute >= FRESH and minute >= call.least + JUMP):
            self._smooth_until = now + 3 * self._window
            if self._kind in ("", "fixed"):
                self._kind = "sliding" if self._dry else "bucket"
        elif now >= self._smooth_until:
            self._kind = "fixed"
            self._note_boundary(self._seen_at, now)
        self.epoch += 1
        self._unclear.extend([self._flow.sent] * (self._flow.settled - call.settled - 1))
        self._known, self._most, self.least, self._since = 1, minute, minute, call.sent_at
        self._probes = 0
        self._seen_at = call.sent_at
        self._base = call.settled
        self._left = self._share(minute)

    def _note_boundary(self, earliest: float, latest: float) -> None:
        """A window began between the two; earlier findings, a whole number of windows ago, make that narrower."""
        if self._high:
            ago = round((latest - self._high) / self._window) * self._window
            low, high = max(self._low + ago, earliest), min(self._high + ago, latest)
            if low <= high:
                self._low, self._high = low, high
                return
        self._low, self._high = earliest, latest

    def _measure(self, now: float) -> None:
        """What this stretch proves of the quota."""
        fallen = self._most - self.least
        at_least = (self._known - 1) / ((fallen + 1) / 100 + (now - self._since) / self._window)
        if at_least > self.quota and (self._kind != "sliding" or not self.quota):
            self.quota = at_least
        if fallen >= FIRM:
            at_most = 100 * (self._flow.sent - self._base) / (fallen - 1)
            if self.quota > at_most:
                self.quota = at_most
        self._left = self._share(self.least)

    def _share(self, percent: float) -> float:
        """Calls that are left at `percent`, at least: of a fleet's, this process's part."""
        if percent > 100:
            return 0.0
        alone = self._of == 1
        whole = floor((self._whole if self._whole and not alone else self.quota) * max(percent - 1, 0.0) / 100)
        whole += percent >= (1 if self._kind in ("fixed", "sliding") or (not self._kind and not whole) else 101)
        if alone:
            return whole
        return (whole + self._of - 1 - self._rank) // self._of if self._of else 0

    def _set_limit(self, now: float) -> None:
        """From the newest answer; the highest so far holds where we are alone."""
        flow = self._flow
        here = flow.settled - len(self._unclear) + self._left
        if self._kind == "sliding" and self._of == 1 and now >= self._others_until:
            self._best = max(self._best, here - self._may_be_gone)
            here = max(here, self._best + self._gone)
        if here >= self._limit:
            self._limit = here
            return
        point = self.quota / 100
        if self._limit - here > 2 * point + flow.in_flight + len(self._unclear) + 3:
            self._others_until = now + 3 * self._window
        if now < self._others_until or self._of != 1:
            self._limit = here - max(2.0, point / 2) if self._of == 1 else here

    def _pause(self, now: float) -> float:
        """The limit is reached: what more is proven by now, else when to try one call."""
        if self._known and self.least <= 100:
            self._measure(now)
            self._set_limit(now)
            if self._flow.sent < self._limit - self._kept():
                return 0.0
        quiet = self._last_sent + max(4 * self._rtt, 0.1) if self._flow.in_flight else now
        if self._flow.in_flight and now < quiet:
            return quiet - now
        if self._idle[0] == inf:
            self._idle = (now, self._flow.sent)
        since = max(self._last_sent, self._last_heard)
        if self._kind == "sliding" and (back := self._comes_back(now)) < inf:
            return back
        return max(since + self._patience(since) - now, 0.0)

    def _patience(self, now: float) -> float:
        """Seconds until one call is worth a try."""
        window = self._window
        if self._kind == "fixed" and self._high:
            due = self._high + LATE
            due += max(0, -floor((due - now) / window)) * window
            if self._probes and due - now > window / 2 and self._probes < 5:
                return min(due - now, window / 120 * 2**self._probes)
            low = max(due - LATE - (self._high - self._low), now)
            if self._limit - self._flow.sent >= 1 and due - low > max(3 * self._rtt, 0.2):
                return (low + due) / 2 - now
            return due - now
        if not self._kind:
            deadline = self._first + window + LATE
            if now < deadline:
                left = max(0.0, self._limit - self._flow.sent)
                return (deadline - now) / (floor(left) + 1)
            return window / 120 * 2 ** min(self._probes, 6)
        if self.least >= 1:
            return window / 25
        return window / 100 * 2 ** min(self._probes, 6)

    def _comes_back(self, now: float) -> float:
        """Seconds until so many of our own calls are a window old for sure that one more may be sent."""
        missing = self._flow.sent + 1 - self._best - self._gone
        slot = int(now * SLOTS / self._window)
        for ahead in range(1, SLOTS + 1):
            missing -= self._slots[(slot + ahead) % (SLOTS + 1)]
            if missing <= 0:
                return (slot + ahead) * self._window / SLOTS - now + 0.001
        return inf

    def _turn(self, now: float) -> None:
        """Forget, or in a sliding window give back, what is a window old."""
        slot = int(now * SLOTS / self._window)
        if slot == self._slot:
            return
        for each in range(max(self._slot + 1, slot - SLOTS), slot + 1):
            self._gone += self._slots[each % (SLOTS + 1)]
            self._slots[each % (SLOTS + 1)] = 0
            self._may_be_gone += self._sends[each % SLOTS]
            self._sends[each % SLOTS] = 0
        self._slot = slot
