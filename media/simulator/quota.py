"""Counters of calls: fixed windows, a sliding window, a token bucket. Time is passed in, in seconds.

Strangers spend at a steady rate beside the callers. A refusal may count as a call, and may keep the counter shut.
"""

import math
from collections import deque
from typing import Literal

from media.simulator.scenario import Quota, Quotas


class Counter:
    """One quota of one (app, interface); unlimited where its size is 0."""

    def __init__(self, quota: Quota, start: float) -> None:
        self.quota = quota
        self.start = start
        self._shut_until = -math.inf

    def has(self, now: float) -> bool:
        """Whether another call fits."""
        return not self.quota.size or (now >= self._shut_until and self.used(now) + 1 <= self.quota.size)

    def spend(self, now: float) -> None:
        """Count one call."""

    def refuse(self, now: float) -> None:
        """Count one refusal, as the scenario has it."""
        if self.quota.count_refused:
            self.spend(now)
        if now >= self._shut_until:
            self._shut_until = now + self.quota.penalty

    def shut_for(self, now: float) -> float:
        """How many seconds a refusal keeps it shut from now on."""
        return max(0.0, self._shut_until - now)

    def used(self, _now: float) -> float:
        """Calls that count now, those of strangers too."""
        return 0.0

    def percent(self, now: float) -> int:
        """What is left, as the header tells it."""
        if not self.quota.size:
            return 100
        if now < self._shut_until:
            return 0
        exact = 100 * max(0.0, 1 - self.used(now) / self.quota.size)
        return int({"floor": math.floor(exact), "round": round(exact), "ceil": math.ceil(exact)}[self.quota.rounding])


class Fixed(Counter):
    """Full again at each boundary."""

    def __init__(self, quota: Quota, start: float) -> None:
        super().__init__(quota, start + quota.phase - quota.window)
        self._window = -1
        self._calls = 0

    def spend(self, now: float) -> None:
        self._turn(now)
        self._calls += 1

    def used(self, now: float) -> float:
        self._turn(now)
        into = now - self.start - self._window * self.quota.window
        return self._calls + math.floor(into * self.quota.strangers)

    def _turn(self, now: float) -> None:
        window = math.floor((now - self.start) / self.quota.window)
        if window != self._window:
            self._window, self._calls = window, 0


class Sliding(Counter):
    """What was spent in the last `window` seconds counts; keeps one number per call of that time."""

    def __init__(self, quota: Quota, start: float) -> None:
        super().__init__(quota, start)
        self._calls: deque[float] = deque()

    def spend(self, now: float) -> None:
        self._calls.append(now)

    def used(self, now: float) -> float:
        while self._calls and self._calls[0] <= now - self.quota.window:
            self._calls.popleft()
        return len(self._calls) + math.floor(min(now - self.start, self.quota.window) * self.quota.strangers)


class Bucket(Counter):
    """Drains at a steady rate; starts unused."""

    def __init__(self, quota: Quota, start: float) -> None:
        super().__init__(quota, start)
        self._calls = 0.0
        self._at = start

    def spend(self, now: float) -> None:
        self._calls = self.used(now) + 1

    def used(self, now: float) -> float:
        rate = self.quota.size / self.quota.window - self.quota.strangers
        self._calls = min(max(self._calls - (now - self._at) * rate, 0.0), float(self.quota.size))
        self._at = now
        return self._calls


KINDS: dict[str, type[Counter]] = {"fixed": Fixed, "sliding": Sliding, "bucket": Bucket}


class Meter:
    """The day and minute counters of one (app, interface)."""

    def __init__(self, quotas: Quotas, start: float) -> None:
        self.quotas = quotas
        self.minute = KINDS[quotas.minute.kind](quotas.minute, start)
        self.day = KINDS[quotas.day.kind](quotas.day, start)

    def take(self, now: float) -> Literal["", "minute", "day"]:
        """Spend one call of both, or say which of them refuses."""
        if not self.day.has(now):
            self.day.refuse(now)
            return "day"
        if not self.minute.has(now):
            self.minute.refuse(now)
            return "minute"
        self.day.spend(now)
        self.minute.spend(now)
        return ""

    def percents(self, now: float) -> tuple[int, int]:
        """What is left of the day and of the minute."""
        return self.day.percent(now), self.minute.percent(now)


class RowQuota:
    """Rows served in periods of `window` seconds; past `size` it is frozen, longer the more was served."""

    def __init__(self, size: int, window: float, start: float) -> None:
        self._size = size
        self._window = window
        self._start = start
        self._period = 0
        self._rows = 0
        self._frozen_until = -math.inf

    def frozen(self, now: float) -> bool:
        """Whether nothing is served now."""
        return now < self._frozen_until

    def add(self, rows: int, now: float) -> None:
        """Count rows that are being served."""
        period = math.floor((now - self._start) / self._window)
        if period != self._period:
            self._period, self._rows = period, 0
        self._rows += rows
        if self._size and self._rows > self._size:
            rest = self._start + (period + 1) * self._window - now
            self._frozen_until = now + rest + self._rows // self._size * self._window
