"""The law of media that tell nothing but refusals: calls are spaced evenly, at a pace that refusals alone have taught.

A limit is so many calls per period (a second, or a minute), counted in a way that is not known; even spacing below the
limit passes all of them. Nobody can know it without being refused now and then: refusals are what is spent, sparingly.

start   Nothing is known. One call until its answer is here; then the pace grows with the time that answers take, so
        that the first refusal finds few calls in flight above the limit. What was sent in the period before bounds it.
rise    Towards the pace that was refused last (`top`), the slower the nearer; then a little beyond, no further than
        would cost about one refusal of what is in flight, because a bucket may pass a period's worth above its rate.
        OVER periods' worth above prove that the limit was raised: start again from there.
hold    A pace that passes. It creeps up by `step` within about `hold` calls, and a refusal lowers it by `step` again:
        so its mean is half a step below a hard limit; where arrivals at the medium bunch, it settles where bunches are
        refused that rarely. Refused soon, the step doubles; refused late, it halves. After a creep without a refusal
        comes a rise, to find a limit that was raised. `hold` doubles each time.

A refusal closes the scope for a moment; if one call that goes ahead then is refused too, for twice as long. What was
under way at the first refusal does not count again; but the part of it that is refused tells by how much the pace was
too high, so that a limit cut by half is met within seconds.
"""

from collections import deque
from math import inf
from typing import Literal

from ark.governor.flow import Call, Flow, Kind, Limit

HANDFUL = 4.0
"""Calls that may be refused because they were in flight above an unknown limit."""
RARE, RARE_PERIODS = 20_000, 11.4
"""`hold` at most, in calls; in a long period the last calls of several are refused at once: so many periods' worth."""
SOON, SOON_SECONDS, SOON_LEAST = 10_000, 60.0, 500
"""The first `hold` in calls; in seconds and calls where the limit was seen to move."""
DEAR = 40.0
"""`hold` at the least, in times of what the medium says to wait: a refusal may cost so small a part of the time."""
STEP, WIDEST = 0.01, 0.25
"""By what part a refusal lowers the pace: least, most."""
DEEPEST = 0.3
"""What is left of a pace after one refusal at the least, whatever it seems to prove."""
LONG = 2.0
"""Seconds; a longer period's refusals run on until it ends, and one waits for a small part of it."""
OVER, ENOUGH = 2.5, 1.2
"""Periods' worth of calls above a pace: with so many the limit was raised for sure; probably."""
RAISED = 1.5
"""Times the pace before: short of it, a start from there has found a limit not much above."""
PLAIN = 0.1
"""By so much a limit must be lower to be said to have moved."""
MOMENT = 0.001
"""Seconds; nobody is asked to wait for less."""

Mode = Literal["start", "rise", "hold"]


class RateSearch:
    """Paces one scope. `period`: seconds that the medium's limit is for; `pace`: calls per second to begin at."""

    def __init__(self, flow: Flow, window: float, period: float, pace: float = 0.0) -> None:
        self._flow, self._window, self._period = flow, window, period
        self.quota, self.boundary, self.least, self.epoch = pace * window, 0.0, 100.0, 0
        self.kind: Kind = ""
        self._mode: Mode = "rise" if pace else "start"
        self._of = self._of_before = 1
        self._rtt = 0.0
        self._pace = self._base = pace or HANDFUL
        self._gap = 1 / self._pace
        self._top = pace
        self._earned = 0.0
        """The pace that passed for long before this rise."""
        self._growth = 0.0
        self._step, self._hold = STEP, float(SOON)
        self._slack = min(0.03 * period, 0.5)
        """Seconds that a call may be late and the next ones catch up."""
        self._next = -inf
        self._alone_until = 0.0 if pace else inf
        self._used = self._late = 0
        """Calls since the last refusal that took the pace as it was; calls since the last turn that did not."""
        self._last, self._first, self._reach, self._refused = flow.sent, 0, 0, 0
        """Of the last refusal: the last call sent before it, the first and the last call refused, and how many were."""
        self._refused_at = self._refused_pace = 0.0
        self._again, self._pause, self._dear = 0, 0.0, 0.0
        """How often one call that went ahead was refused since, seconds waited before it, seconds the medium named."""
        self._judging = self._told = self._settled = False
        """Calls under way are yet to be judged; silence proves nothing, it was told or chosen; a `hold` has passed."""
        self._above = (0.0, 0, 0.0)
        self._over = 0.0
        """Since when, after which call and above which pace this rise is beyond what is known; by how many periods."""
        self._haste, self._hasty = 1.0, True
        self._turned = self._due = 0.0
        self._marks: deque[tuple[float, int]] = deque()

    @property
    def measured(self) -> float:
        """Calls per window that pass at the pace that was found."""
        return self.quota

    def wait(self, now: float) -> float:
        """0.0, or seconds until to ask again."""
        left = self._next - now
        if left > 0:
            return left if left > MOMENT else MOMENT  # noqa: FURB136 - called most often
        if now < self._alone_until and self._flow.sent > self._flow.settled:
            return max(self._alone_until - now, MOMENT)
        return 0.0

    def sent(self, now: float) -> None:
        """One call leaves."""
        due = self._next
        if now - due <= self._slack:
            self._used += 1
            self._next = due + self._gap
        else:
            self._late += 1
            self._next = now - self._slack + self._gap
            if not self._marks:
                self._marks.append((now, self._flow.sent - 1))
                self._turned, self._next = now, now + self._gap
                self._alone_until = min(self._alone_until, now + 1.0) if self._of else inf
        if self._judging:
            self._judge()

    def answered(self, call: Call, now: float, minute: float | None) -> None:  # noqa: ARG002 - the law's
        """The headers of an answer; the body may still refuse."""
        took = now - call.sent_at
        self._rtt += (took - self._rtt) / 16 if self._rtt else took
        if self._alone_until and self._of and call.number > self._last:
            self._alone_until = 0.0
            self._next = max(self._next, now + max(0.02, took / 8))
            if self._again and self._period > LONG and not self._told:
                self._lower_by(call.sent_at - self._refused_at - self._pause / 2)
            if self._mode == "start" and not self._due and took > 0:
                self._set_pace(max(self._pace, HANDFUL / took))
        if now >= self._due:
            self._turn(now)

    def refused(self, call: Call, now: float, limit: Limit, retry_in: float) -> None:  # noqa: ARG002 - the law's
        """A refusal: of a call sent since the last one, or of one that was under way with it."""
        if retry_in:
            self._next = max(self._next, now + retry_in)
        if call.number <= self._last:
            self._refused += 1
            self._reach = max(self._reach, call.number)
        else:
            self._lower(call, now)
        if retry_in:
            self._told, self._judging, self._dear = True, False, retry_in
            self._hold = max(self._hold, self._rarest())
            self._alone_until = self._next + self._patience() if self._of else inf

    def lost(self, call: Call, now: float) -> None:
        """No information."""

    @property
    def firm(self) -> bool:
        """Whether a refusal has taught what passes."""
        return self.quota > 0

    def learn(self, kind: Kind, boundary: float) -> None:
        """Refusals tell nothing of the kind of counter, and a pace needs none."""

    def take_share(self, rank: int, of: int, quota: float) -> None:  # noqa: ARG002 - the law's
        """Each of a fleet's processes searches for itself; who joins or leaves moves the others' pace at once."""
        if of == self._of:
            return
        if not of:
            self._of, self._alone_until = 0, inf
            return
        if not self._of and self._rtt:
            self._alone_until = 0.0
            if self._mode == "start" and not self._due:
                self._set_pace(max(self._pace, HANDFUL / self._rtt))
        if quota and not self.quota:
            self._mode, self._top = "rise", quota / self._window / of
            self._rebase(self._top)
        else:
            part = self._of_before / of
            self._top, self._earned = self._top * part, self._earned * part
            self._rebase(self._pace * part)
        self._of = self._of_before = of

    def _turn(self, now: float) -> None:
        """Let the pace grow, if it was taken."""
        rtt, marks, sent = max(self._rtt, MOMENT), self._marks, self._flow.sent
        since = min(now - self._turned, 2 * (self._due - self._turned)) if self._due else 0.0
        calls = sent - marks[-1][1] if marks else 0
        marks.append((now, sent))
        while len(marks) > 1 and marks[1][0] < now - self._period - 2 * rtt:
            marks.popleft()
        if calls and 4 * self._late <= calls:
            if self._mode == "hold":
                self._creep()
            else:
                self._growth = self._boldest(rtt) if self._mode == "start" else self._rise(now, since, rtt)
                self._set_pace(self._pace + self._growth * since)
        else:
            self._growth = 0.0
        self._late, self._turned = 0, now
        self._due = now + (max(rtt / 4, 0.01) if self._mode == "start" else max(rtt / 2, self._period / 20))

    def _boldest(self, rtt: float) -> float:
        """Calls per second and second by which an unknown limit is approached."""
        pace = self._pace
        return max(0.005 * pace / rtt, min(0.7 * pace, HANDFUL / rtt) / (self._period + rtt))

    def _creep(self) -> None:
        calls = self._creep_calls()
        self._set_pace(self._base * (1 + self._step * min(1.0, self._used / calls)))
        if self._used >= calls:
            self._earned = self._top = self._pace
            self._mode, self._hasty = "rise", False
            self._rebase(self._pace)

    def _creep_calls(self) -> float:
        return self._hold * max(STEP / self._step, 0.1)

    def _rise(self, now: float, since: float, rtt: float) -> float:
        span, period, pace = self._period + rtt, self._period, self._pace
        slow = min(
            max(0.5 / (span * span), 0.005 * pace / period * (period < LONG)),
            (0.05 if self._hasty else 0.012) * pace / period,
        )
        if pace < self._top:
            return min(max((self._top - pace) / (3 * span), slow), self._boldest(rtt))
        if not self._above[0]:
            self._above = now, self._flow.sent, pace
        at, sent, origin = self._above
        whole = origin * period
        self._over = max(0.0, self._flow.sent - sent - origin * (now - at)) / whole
        if self._over > OVER + 2 / whole:
            self._mode, self._earned = "start", origin
        self._haste *= 1 + 0.35 * since / span
        cost = 0.7 * max(1.0, self._hold / RARE) / (origin * rtt)
        most = origin * (1 + max(0.01, cost) * (1 + self._over))
        return min(slow * self._haste, max(0.0, most - pace) / max(since, MOMENT))

    def _lower(self, call: Call, now: float) -> None:
        """A pace that was not known to be too high is."""
        took = now - call.sent_at
        pace = max(self._pace - self._growth * took, self._pace / 2)
        ahead = self._first and call.number == self._last + 1
        at_once = ahead or self._used < 1.5 * pace * self._period
        if ahead:
            self._again += 1
        else:
            self._again, self._told = 0, self._mode == "start"
            self._refused_at, self._refused_pace = call.sent_at, pace
        self._last, self._first, self._refused = self._flow.sent, call.number, 1
        self._reach = call.number
        pause = min(0.25 * self._period, 1.0) * 2 ** min(self._again, 6)
        if ahead:
            base = self._refused_still(call)
        elif self._mode == "start":
            base = self._refused_at_start(call, pace)
            pause = max(pause, self._emptied(now))
        else:
            base = self._refused_in_rise(pace, took) if self._mode == "rise" else self._refused_in_hold(pace)
            counted = self._counted(call)
            if not self._earned and counted + 1 < 0.75 * pace * self._period:
                base = self._moved(min(base, max(0.5 * pace, 0.97 * counted / self._period)))
        if self._period < LONG:
            pause = max(pause, self._period if at_once else 1.2 * self._rtt)
        self._pause = min(pause, 16 * self._period)
        self._next = max(self._next, now + self._pause)
        if self._of and (at_once or self._period > LONG):
            self._alone_until = self._next + self._patience()
        self._judging = not ahead and self._period < LONG
        self._used, self._earned, self._growth = 0, 0.0, 0.0
        self._rebase(base)

    def _refused_at_start(self, call: Call, pace: float) -> float:
        if pace < RAISED * self._earned:
            self._mode, self._top = "hold", pace
            return min((self._earned + pace) / 2, 0.98 * pace)
        self._mode, self._top, self._hasty = "rise", min(pace, self._counted(call) / self._period), True
        self._hold = max(SOON, RARE_PERIODS / 2 * self._top * self._period)
        return 0.95 * self._top

    def _refused_in_rise(self, pace: float, took: float) -> float:
        known, self._top = self._top, pace
        drift = self._growth * (self._period + took) / pace
        if not self._earned and drift > 3 * STEP and self._hasty:
            self._hasty = False
            return pace * (1 - drift)
        self._mode = "hold"
        if not self._earned:
            self._step = min(max(known / pace - 1, STEP), 4 * STEP)
            return pace * (1 - 1.5 * STEP)
        self._hold = min(2 * self._hold, max(RARE, RARE_PERIODS * pace * self._period, self._rarest()))
        self._step = max(self._step / 4, STEP)
        if not self._settled:  # still on the way up: what was refused may be far above what passed
            self._settled, self._step = True, min(max(self._step, pace / self._earned - 1), 4 * STEP)
        return (self._earned + pace) / 2 if self._over > ENOUGH else self._earned * (1 - STEP / 2)

    def _refused_in_hold(self, pace: float) -> float:
        self._top, calls = pace, self._creep_calls()
        if self._used < calls / 4:
            self._step = min(2 * self._step, WIDEST)
        elif self._used > calls / 2:
            self._step = max(self._step / 2, STEP)
        return pace * (1 - self._step)

    def _refused_still(self, call: Call) -> float:
        """Nothing was sent for a while and even so one call is too many: so much of the period was beyond the limit."""
        if not self._told:
            self._lower_by(call.sent_at - self._refused_at)
        return self._base

    def _lower_by(self, silent: float) -> None:
        most = self._refused_pace * max(DEEPEST, 1 - silent / self._period)
        if most < self._base:
            self._rebase(self._moved((1 - 1.5 * STEP) * most, most))

    def _judge(self) -> None:
        """Of the calls under way at the refusal some were refused as well: the part tells how much was too much."""
        self._judging = False
        refused, of = self._refused, self._last - self._first + 1
        if refused > 0.8 * (self._reach - self._first + 1):  # all in a row, until a window ended: so many of its calls
            of += int((0.5 if self._reach >= self._last - 1 else 1.0) * self._refused_pace * self._period)
        part = (refused - 2.5) / (of + 2)
        top = self._refused_pace * max(DEEPEST, 1 - part)
        if top < self._base:
            self._rebase(self._moved(0.97 * top, top) if part > PLAIN else 0.97 * top)

    def _moved(self, base: float, top: float = 0.0) -> float:
        """The limit is another than it was: rise to it, and look for its return before long."""
        self._mode, self._top, self._earned, self._hasty = "rise", top or 1.03 * base, 0.0, True
        if self._settled and not self._dear:
            self._hold = min(SOON, max(SOON_LEAST, SOON_SECONDS * base))
        return base

    def _counted(self, call: Call) -> int:
        """Calls sent in the period before this one."""
        since, before = call.sent_at - self._period, self._marks[0][1]
        for at, number in self._marks:
            if at > since:
                break
            before = number
        return max(call.number - 1 - before, 1)

    def _emptied(self, now: float) -> float:
        """Seconds until enough of what was sent in the last period is a period old, whatever the medium counts."""
        if self._period < LONG:
            return self._period
        return min(max(self._marks[0][0] + 1.02 * self._period + self._rtt - now, self._period / 2), self._period)

    def _rarest(self) -> float:
        return DEAR * self._dear * self._pace

    def _patience(self) -> float:
        """Seconds that one call goes ahead alone at most."""
        return max(1.0, 4 * self._rtt)

    def _rebase(self, base: float) -> None:
        self._set_pace(base)
        self._base = self._pace
        self.quota = self._pace * self._window
        self._above, self._over, self._haste = (0.0, 0, 0.0), 0.0, 1.0

    def _set_pace(self, pace: float) -> None:
        self._pace = max(pace, 1 / (min(self._period, 5.0) * (self._of_before or 1)))
        self._gap = 1 / self._pace
