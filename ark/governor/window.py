"""The law of media that tell a percent: the integer percent in each answer is read as TCP reads an advertised window.

A percent p proves that p - 1 percent of the quota are left: the medium may round up, and may not have counted the call
itself. Calls in flight may or may not be in it. So with C calls settled and the least percent of this stretch, calls up
to the number

    limit = C - unclear + quota x (least - 1) / 100

may be sent, whatever the kind of counter. A limit that was right stays right while nobody else spends: the highest
one holds. Where percents fall faster than our own calls explain, others spend, or the quota is smaller: then only the
newest does, less a reserve. `unclear` are settled calls that the least percent may not have in it yet: answers without
a readable percent, lost calls, answers from before the last refill; each until the answer of a call sent later.

The quota is what calls and percents prove: k calls in which the percent fell by d points in t seconds are at least
k / ((d + 1) / 100 + t / window), be it a fixed window, a bucket or the first of a sliding one; and k / ((d - 1) / 100)
at most. Too small an estimate costs little: it counts for less the fewer points are left.

A stretch ("epoch") ends when the percent rises between a call and one that was sent after its answer. What that tells
of the kind of counter is in `refill`; in a sliding window our own calls come back when they are a window old, and
whatever percents say, a quota's worth of calls fits beside those that are gone.

In a fleet each process has an integer part of what is left, the first ones the odd calls: see `share`.
"""

from collections import deque
from math import floor, inf

from ark.governor.flow import Call, Flow, Kind, Limit
from ark.governor.rate import RateSearch
from ark.governor.refill import FULL, NEARLY_FULL, Refill
from ark.governor.share import HALF, Share

FIRM = 10.0
"""Points that the percent has fallen when the quota can be said to be at most something."""
WELL = 50.0
"""Points after which a fixed window's quota is known to two percent."""
BLIND = 20
"""Answers in a row without a percent, from which on the pace is searched for by refusals."""
BLIND_PACE = 1000 / 60
"""Calls per second to begin that search at where nothing is known (seed 002: minutely_control 1000)."""
OTHERS_FOR = 3
"""Windows for which others are counted with after they were noticed."""
REFUSED_FOR = 30
"""Windows, likewise, after a refusal of a call that the percent had allowed."""
LESS = 0.8
"""Of the quota's estimate, after such a refusal."""
KNOWN_WELL = 3
"""Answers from which on calls are kept back."""
PLENTY = 20.0
"""Percent at which a call may be sent, whatever is known of the quota."""
A_MOMENT = 1 / 200
"""Windows."""
IDLE = 1 / 20
"""Windows without a call after which the quota is measured anew."""
MUCH = 50
"""Calls: with so many and five points left to be sent, an answer that tells the old percent changes nothing."""
LOOKING = 2.0
"""Percent at which one call more hurts nobody."""


class AdvertisedWindow:
    """Paces one scope by the percent of the minute's quota that answers tell."""

    def __init__(self, flow: Flow, window: float, quota: float = 0.0, boundary: float = 0.0) -> None:
        self._flow, self._window = flow, window
        self._refill = Refill(window, boundary)
        self.quota = quota
        self.firm = bool(quota)
        self.least = inf
        self.epoch = 0
        self._most = self._since = 0.0
        self._measured_at = -inf
        self._known = self._base = 0
        self._left = 0.0
        self._limit = 1.0
        self._kept = 0.0
        self._best = -inf
        self._unclear: deque[int] = deque()
        self._rtt = 0.0
        self._sent_at = self._heard_at = -inf
        self._gone_when_heard = 0
        self._probes = 0
        self._closed_until = self._others_until = -inf
        self._forgiven = 0
        self._share = Share(flow, window, self._refill)
        self._blind = 0
        self._roomy = -inf
        self._search: RateSearch | None = None
        """The pace where no percent tells it: of a limit by the second, or as long as percents are missing."""
        self._by_second = False

    @property
    def boundary(self) -> float:
        """When a fixed window began, at the latest; 0.0: unknown."""
        return self._refill.high

    def wait(self, now: float) -> float:
        """0.0, or seconds until to ask again."""
        if now < self._closed_until:
            return self._closed_until - now
        if self._search is not None:
            gap = self._search.wait(now)
            if gap or self._blind >= BLIND:
                return gap
        if self._flow.sent < self._limit - self._kept:
            return 0.0
        return self._pause(now)

    def sent(self, now: float) -> None:
        """One call leaves: within the limit, or to see whether something has come back."""
        self._refill.past.note_sent(now)
        self._sent_at = now
        if self._search is not None:
            self._search.sent(now)
        if self._flow.sent > self._limit:
            self._probes += 1
            self._limit = self._flow.sent

    def answered(self, call: Call, now: float, minute: float | None) -> None:
        """The percent of an answer, if it has one."""
        past, unclear = self._refill.past, self._unclear
        past.note_settled(now)
        self._heard_at, self._gone_when_heard = now, past.gone
        took = now - call.sent_at
        self._rtt += (took - self._rtt) / 16 if self._rtt else took
        if self._search is not None:
            self._search.answered(call, now, minute)
        if minute is None:
            self._told_nothing(call)
            return
        if minute == self.least and self._flow.sent < self._roomy and call.epoch == self.epoch and minute <= call.least:
            self._nothing_new(call, now, minute)
            return
        if self._blind:
            self._blind, self._search = 0, self._search if self._by_second else None
        while unclear and unclear[0] < call.number:
            unclear.popleft()
        if call.epoch != self.epoch:
            unclear.append(self._flow.sent)
            return
        if minute > call.least:
            self._rise(call, now, minute)
        else:
            self._fall(call, now, minute)
        self._set_limit(now)

    def refused(self, call: Call, now: float, limit: Limit, retry_in: float) -> None:
        """Closed for everybody; of calls that were under way together, only the first refusal teaches anything."""
        if limit == "second" and not self._by_second:
            self._by_second = True
            self._search = self._search or self._searching(
                self._flow.in_flight / self._rtt if self._rtt else 0.0, 1 / 60
            )
        if self._search is not None and (limit == "second" or self._blind >= BLIND):
            self._search.refused(call, now, limit, retry_in)
            return
        if retry_in:
            self._closed_until = max(self._closed_until, now + retry_in)
        if call.number <= self._forgiven:
            return
        self._forgiven = self._flow.sent
        self._others_until = now + (OTHERS_FOR if call.least <= 1 else REFUSED_FOR) * self._window
        self._refill.seen_at = max(self._refill.seen_at, call.sent_at)
        if call.least > 1:
            self.quota *= LESS
        self.least = self._left = 0.0
        self._limit = self._flow.settled
        self._probes += 1

    def lost(self, call: Call, now: float) -> None:  # noqa: ARG002 - the law's
        """The call may have been counted."""
        self._unclear.append(self._flow.sent)

    @property
    def measured(self) -> float:
        """Calls per window that our own calls have shown."""
        return self._share.measured(self.quota)

    def take_share(self, rank: int, of: int, quota: float) -> None:
        """From now on the limit is this process's part of the whole."""
        if self._share.take(rank, of, quota) and self.least <= FULL:
            self._left = self._share.part(self.least, self.quota)
            self._limit = min(self._limit, self._flow.settled - len(self._unclear) + self._left)

    def learn(self, kind: Kind, boundary: float) -> None:
        """What the fleet knows of the refills; where windows begin the first process knows best."""
        if kind and (self._share.rank or kind != "fixed" or not self.kind):
            self._refill.adopt(kind, boundary)

    @property
    def kind(self) -> Kind:
        """How the quota is refilled, as far as is known."""
        return self._refill.kind

    def _searching(self, pace: float, windows: float) -> RateSearch:
        """A search for what a limit of so many windows lets through, from `pace` calls per second on."""
        return RateSearch(self._flow, self._window, windows * self._window, pace)

    def _told_nothing(self, call: Call) -> None:
        self._unclear.append(self._flow.sent)
        if self.least < 1 and call.number >= self._flow.sent and call.number > self._forgiven:
            self.least = inf  # what was tried when nothing was left was answered; if its body refuses it, that is told
        self._blind += 1
        if self._blind == BLIND:
            pace = self.quota / self._window if self.quota else BLIND_PACE
            self._search = self._search or self._searching(pace, 1)

    def _nothing_new(self, call: Call, now: float, minute: float) -> None:
        """The percent is where it was, and much may be sent yet: most answers are such."""
        self._known += 1
        self._measured_at = now
        refill = self._refill
        refill.seen_at = max(refill.seen_at, call.sent_at)
        if minute >= NEARLY_FULL:
            refill.since = now

    def _rise(self, call: Call, now: float, minute: float) -> None:
        """The quota was refilled before this call: a new stretch begins with it."""
        self._refill.rose(call, now, minute, self.quota, alone=self._share.alone)
        self.epoch += 1
        self._share.begin_stretch()
        self._unclear.extend([self._flow.sent] * (self._flow.settled - call.settled - 1))
        self.least = minute
        self._measured_at, self._probes = now, 0
        self._begin_to_measure(call, now, minute)
        self._left = self._share.part(minute, self.quota)

    def _fall(self, call: Call, now: float, minute: float) -> None:
        self._refill.heard(call, now, minute, self.quota)
        self._known += max(minute, self.least) >= 1  # below nothing it does not fall, and the body may refuse the call
        if self._known == 1 or call.sent_at - self._measured_at > self._window * IDLE:
            self._begin_to_measure(call, now, minute)
        self._measured_at = now
        self._most = max(self._most, minute)  # answers overtake each other
        if minute < self.least:
            self.least = minute
            self._measure(now)

    def _begin_to_measure(self, call: Call, now: float, minute: float) -> None:
        """From here on; what came back while we hardly called is not to count."""
        self._known, self._most, self._since, self._base = 1, minute, call.sent_at, call.settled
        self._share.begin_to_measure(now, minute)

    def _measure(self, now: float) -> None:
        """What this stretch proves of the quota."""
        fallen = self._most - self.least
        at_least = (self._known - 1) / ((fallen + 1) / 100 + (now - self._since) / self._window)
        tried = not self.firm or self._known > self.quota / 10  # one call that is miscounted is little of so many
        if at_least > self.quota and tried and (self._refill.kind != "sliding" or not self.quota):
            self.quota = at_least
        self.firm = self.firm or fallen >= FIRM
        nearly_all = self._known >= 0.9 * (self._flow.settled - self._base)
        if fallen >= WELL and nearly_all and self._refill.kind == "fixed":
            self.quota = 100 * (self._known - 1) / (fallen + 1)
        elif fallen >= FIRM:
            self.quota = min(self.quota, 100 * (self._flow.sent - self._base) / (fallen - 1))
        self._left = self._share.part(self.least, self.quota)

    def _set_limit(self, now: float) -> None:
        """By the newest answer; the highest limit so far holds where we are alone."""
        flow, share = self._flow, self._share
        if share.of > 1:
            times = self._rtt, self._heard_at, self._sent_at
            self._left = share.among_mates(now, self.least, self.quota, *times)
        here = flow.settled - len(self._unclear) + self._left
        alone = share.alone and now >= self._others_until
        if alone and self._refill.kind == "sliding":
            past, at_least = self._refill.past, self.quota if self.firm else 0.0
            self._best = max(self._best, here - past.may_be_gone, at_least)
            here = max(here, self._best + past.gone)
        if here < self._limit:
            point = self.quota / 100
            if alone and self._limit - here > 2 * point + flow.in_flight + len(self._unclear) + 3:
                self._others_until = max(self._others_until, now + OTHERS_FOR * self._window)
            if now < self._others_until or not share.alone:
                self._limit = here - max(2.0, point / 2) if share.alone else here
        else:
            self._limit = here
        self._kept = self._keep()
        self._roomy = self._limit - self.quota / 20 - MUCH if alone and not self._unclear else -inf

    def _keep(self) -> float:
        """Calls to keep back for looking when the quota is refilled, as long as that is not well known."""
        if self._flow.settled < KNOWN_WELL or self._share.rank or self.least > HALF:
            return 0.0
        if not self._refill.kind:
            return max(3.0, self.quota / 200)
        return min(max(2.0, self.quota / 400), 8.0) if self._refill.width(self._rtt) else 0.0

    def _pause(self, now: float) -> float:
        """The limit is reached: what more is proven by now, else when to try one call."""
        self._refill.past.turn(now)
        if self._known and self.least <= FULL:
            self._measure(now)
            self._set_limit(now)
            if self._flow.sent < self._limit - self._kept:
                return 0.0
        quiet = self._sent_at + max(4 * self._rtt, 0.1)
        if self._flow.in_flight and now < quiet:
            return quiet - now
        if self._share.waits:
            return max(self._rtt, self._window * A_MOMENT)
        if self.least >= PLENTY:
            return 0.0  # nothing told, or much left: one call at a time, until more is proven
        self._refill.idle(now, self._flow.sent)
        if self._share.falling(self.least):
            return self._rtt
        # of a fixed window it is when the last call was sent: its answer may come when the next one has begun
        since = self._sent_at if self._refill.kind == "fixed" else max(self._sent_at, self._heard_at)
        due = max(since + self._patience(since) - now, 0.0)
        return self._until_ours_come_back(now, due) if self._refill.kind in ("sliding", "bucket") else due

    def _until_ours_come_back(self, now: float, due: float) -> float:
        """Seconds until our own calls are a window old: so many that one more may be sent, or some at least."""
        past, others = self._refill.past, now < self._others_until
        if self._refill.kind == "bucket" and not others:
            return due
        if others and self._share.alone:  # then it may be a sliding one although something came back early
            return min(due, past.until(max(1.0, self.quota / 50) - (past.gone - self._gone_when_heard), now))
        missing = self._flow.sent + 1 - self._best - past.gone
        back = past.until(missing if self._share.alone else 1 - (past.gone - self._gone_when_heard), now)
        return back if back < inf else due

    def _patience(self, since: float) -> float:
        """Seconds after `since` until one call is worth a try; the first process of a fleet looks for all."""
        window, refill = self._window, self._refill
        left = max(self._limit - self._flow.sent, 0.0) if self._share.rank == 0 else 0.0
        if refill.kind == "fixed":
            return self._until_next_window(since, left)
        if not refill.kind:
            if since < refill.within_a_window:
                looks_for_all = self._share.of > 1 and self._share.rank == 0 and self.least >= LOOKING
                return (refill.within_a_window - since) / (floor(left) + 1 + looks_for_all)
            return window / (20 if since < self._others_until else 120) * 2.0 ** min(self._probes, 6)
        turn = self._share.turn(window / (25 if since < self._others_until else 50))
        return turn if self.least >= 1 else turn * 2.0 ** min(self._probes + 1, 3)

    def _until_next_window(self, since: float, left: float) -> float:
        """Until it has begun for sure; where calls are left, until the middle of the time in which it may begin."""
        due = self._refill.next_window(since)
        low = max(due - (self._refill.high - self._refill.low), since)
        enough = self._window / 20 if since < self._others_until else 0.0
        if left >= 1 and due - low > enough and self._refill.width(self._rtt):
            return (low + due) / 2 - since
        return due - since
