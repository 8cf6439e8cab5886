"""Modelled quota servers in simulated time: what a medium's counter does to each call that arrives. No I/O, no clock.

    server = Fixed(600, window=60.0, phase=12.5, rounding="ceil", strangers=Steady(0.3, rng))
    refusal, day, minute = server.arrive(now)

`now` is in seconds, never decreasing. `Fixed` is full again at `phase` and every `window` seconds after and before it;
`Sliding` counts what was accepted in the last `window` seconds; `Bucket` begins full and refills at size/window.
All take the same arguments:

    size            calls per window
    window, phase   seconds; `phase` moves the boundaries, of use for `Fixed` alone
    rounding        "floor", "round" (half up) or "ceil" of the percent that is left; "exact": with its fraction
    after           whether the percent is taken after this call was counted (yes) or before
    count_refused   whether a refused call counts as well
    changes         [(at, size), ...]: from `at` on the quota is `size`; what is used stays used
    strangers       `Steady` or `Bursts`, or any iterator of arrival times: others who spend of the same quota.
                    Their calls are counted as they come, and are refused as ours are
    day             `Day(size, rounding, used)`, a counter beside; None: the day's percent is always 100

`refusal` is "" for a call that is served, else the quota that refuses it: "minute" or "day". The percents are floats.
For an oracle: `left(at)` calls fit at `at` (now or a little later) if nobody else calls, and
`more_at(at)` is when more will. `strangers_at` is when a stranger's call was served.
"""

from collections.abc import Iterator, Sequence
from math import ceil, floor, inf
from random import Random
from typing import Literal

Rounding = Literal["floor", "round", "ceil", "exact"]
Kind = Literal["fixed", "sliding", "bucket"]


class Steady:
    """Arrival times of strangers, `rate` calls per second from `start` on; with `rng` as a Poisson process."""

    def __init__(self, rate: float, rng: Random | None = None, start: float = 0.0) -> None:
        self._rate, self._rng, self._next = rate, rng, start

    def __iter__(self) -> Iterator[float]:
        return self

    def __next__(self) -> float:
        self._next += self._rng.expovariate(self._rate) if self._rng else 1 / self._rate
        return self._next


class Bursts:
    """Arrival times of strangers: `calls` of them within `spread` seconds, about every `every` seconds."""

    def __init__(self, calls: int, every: float, rng: Random, spread: float = 0.5) -> None:
        self._calls, self._every, self._rng, self._spread = calls, every, rng, spread
        self._at, self._pending = 0.0, list[float]()

    def __iter__(self) -> Iterator[float]:
        return self

    def __next__(self) -> float:
        if not self._pending:
            self._at += self._spread + self._rng.expovariate(1 / self._every)
            self._pending = sorted(
                (self._at + self._rng.uniform(0, self._spread) for _ in range(self._calls)), reverse=True
            )
        return self._pending.pop()


def strangers(size: int, share: float, rng: Random, window: float = 60.0, bursts: int = 0) -> Iterator[float] | None:
    """Strangers who want `share` of the quota per window, steadily or in so many `bursts` per window."""
    if share <= 0:
        return None
    if not bursts:
        return Steady(share * size / window, rng)
    spread = 0.01 * window
    return Bursts(max(1, round(share * size / bursts)), window / bursts - spread, rng, spread)


class Day:
    """The day's counter: `size` calls, of which `used` are gone; no refill."""

    def __init__(self, size: int, rounding: Rounding = "floor", used: int = 0) -> None:
        self.size, self.rounding, self.used = size, rounding, used

    def percent(self) -> float:
        """What is left."""
        return _percent(self.size - self.used, self.size, self.rounding)


class Server:
    """One app's quota on one interface; the kinds differ in how use is forgotten."""

    kind: Kind

    def __init__(
        self,
        size: int,
        *,
        window: float = 60.0,
        phase: float = 0.0,
        rounding: Rounding = "floor",
        after: bool = True,
        count_refused: bool = False,
        changes: Sequence[tuple[float, int]] = (),
        strangers: Iterator[float] | None = None,
        day: Day | None = None,
    ) -> None:
        self.size, self.window, self.phase, self.rounding = size, window, phase, rounding
        self.after, self.count_refused, self.day = after, count_refused, day
        self.strangers_at: list[float] = []
        self._changes = sorted(changes, reverse=True)
        self._strangers = strangers
        self._event = inf
        self._next_stranger = inf if strangers is None else next(strangers)
        self._set_event()

    def arrive(self, now: float) -> tuple[str, float, float]:
        """One of our calls: "" or the quota that refuses it, and the percents left of the day and of the minute."""
        if now >= self._event:
            self._catch_up(now)
        day = self.day
        percents = (0.0, 0.0) if self.after else (day.percent() if day else 100.0, self.percent(now))
        if day is not None and day.used >= day.size:
            refusal = "day"
            if self.count_refused:
                day.used += 1
        elif self._take(now):
            refusal = ""
            if day is not None:
                day.used += 1
        else:
            refusal = "minute"
        if self.after:
            percents = (day.percent() if day else 100.0, self.percent(now))
        return refusal, *percents

    def percent(self, now: float) -> float:
        """What is left of the minute, as the header tells it."""
        return _percent(self.size - self._used(now), self.size, self.rounding)

    def left(self, at: float) -> float:
        """How many calls fit at `at`, which may be a little later than now, if nobody calls until then."""
        if at >= self._event:
            self._change(at)
        return self.size - self._used_at(at)

    def more_at(self, at: float) -> float:
        """After `at`: when more will fit."""
        raise NotImplementedError

    def _take(self, now: float) -> bool:
        """Count one call if it fits."""
        fits = self._used(now) + 1 <= self.size
        if fits or self.count_refused:
            self._count(now)
        return fits

    def _used(self, now: float) -> float:
        raise NotImplementedError

    def _used_at(self, at: float) -> float:
        raise NotImplementedError

    def _count(self, now: float) -> None:
        raise NotImplementedError

    def _catch_up(self, now: float) -> None:
        """Strangers and changes of size up to now."""
        while self._event <= now:
            at = self._event
            self._change(at)
            if self._next_stranger <= at:
                if self._take(at):
                    self.strangers_at.append(at)
                self._next_stranger = next(self._strangers, inf) if self._strangers else inf
            self._set_event()

    def _change(self, at: float) -> None:
        while self._changes and self._changes[-1][0] <= at:
            self.size = self._changes.pop()[1]

    def _set_event(self) -> None:
        self._event = min(self._next_stranger, self._changes[-1][0] if self._changes else inf)


class Fixed(Server):
    """Full again at each boundary."""

    kind: Kind = "fixed"
    _calls = 0
    _until = -inf

    def more_at(self, at: float) -> float:
        return self.boundary_after(at)

    def boundary_after(self, at: float) -> float:
        """The first boundary later than `at`."""
        boundary = self.phase + (floor((at - self.phase) / self.window) + 1) * self.window
        return boundary if boundary > at else boundary + self.window

    def _used(self, now: float) -> float:
        if now >= self._until:
            self._until, self._calls = self.boundary_after(now), 0
        return self._calls

    def _used_at(self, at: float) -> float:
        return 0 if at >= self._until else self._calls

    def _count(self, now: float) -> None:
        self._calls += 1


class Sliding(Server):
    """What was counted in the last `window` seconds."""

    kind: Kind = "sliding"

    def __init__(self, *args, **options) -> None:
        super().__init__(*args, **options)
        self._times: list[float] = []
        self._first = self._ahead = 0

    def more_at(self, at: float) -> float:
        self._used_at(at)
        times = self._times
        return times[self._ahead] + self.window if self._ahead < len(times) else at

    def _used(self, now: float) -> float:
        self._first = self._expire(self._first, now)
        return len(self._times) - self._first

    def _used_at(self, at: float) -> float:
        self._ahead = self._expire(max(self._first, self._ahead), at)
        return len(self._times) - self._ahead

    def _expire(self, first: int, now: float) -> int:
        times, before = self._times, now - self.window
        while first < len(times) and times[first] <= before:
            first += 1
        return first

    def _count(self, now: float) -> None:
        self._times.append(now)


class Bucket(Server):
    """Refills at a steady rate; begins full."""

    kind: Kind = "bucket"
    _calls = 0.0
    _at = 0.0

    def more_at(self, at: float) -> float:
        missing = 1 - self.left(at)
        return at + max(missing, 0.0) * self.window / self.size + 1e-9

    def _used(self, now: float) -> float:
        self._calls, self._at = self._used_at(now), now
        return self._calls

    def _used_at(self, at: float) -> float:
        used = self._calls - (at - self._at) * self.size / self.window
        return max(0.0, used)

    def _count(self, now: float) -> None:
        self._calls += 1


KINDS: dict[str, type[Server]] = {"fixed": Fixed, "sliding": Sliding, "bucket": Bucket}


def _percent(left: float, size: int, rounding: Rounding) -> float:
    if left <= 0:
        return 0.0
    if rounding == "floor":
        return 100 * left // size * 1.0
    if rounding == "exact":
        return 100 * left / size
    if rounding == "ceil":
        return float(ceil(100 * left / size))
    return (200 * left + size) // (2 * size) * 1.0
