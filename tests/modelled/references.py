"""What others do, with the Governor's methods, to be driven beside it."""

from math import inf
from random import Random


class Blind:
    """Slots only: whatever is refused is sent again at once."""

    def wait(self, now: float) -> float:
        return 0.0

    def sent(self, now: float) -> None:
        pass

    def answered(self, call: object, now: float, day: float | None = None, minute: float | None = None) -> None:
        pass

    def refused(self, call: object, now: float, limit: str, retry_in: float = 0.0) -> None:
        pass

    def lost(self, call: object, now: float) -> None:
        pass


class SeedRule(Blind):
    """A caller whose answer tells less than 20 percent of the minute sleeps up to 3 seconds with its slot."""

    BELOW, LONGEST = 20, 3.0

    def __init__(self, rng: Random, cap: int) -> None:
        self._rng, self._cap = rng, cap
        self._in_flight = 0
        self._asleep: list[float] = []

    def wait(self, now: float) -> float:
        asleep = self._asleep
        if not asleep:
            return 0.0
        self._asleep = asleep = [until for until in asleep if until > now]
        return min(asleep) - now if self._in_flight + len(asleep) >= self._cap else 0.0

    def sent(self, now: float) -> None:
        self._in_flight += 1

    def answered(self, call: object, now: float, day: float | None = None, minute: float | None = None) -> None:
        self._in_flight -= 1
        if minute is not None and minute < self.BELOW:
            self._asleep.append(now + self._rng.uniform(0, self.LONGEST))

    def lost(self, call: object, now: float) -> None:
        self._in_flight -= 1


class Aimd(Blind):
    """Additive increase of the calls in flight, halved when one is refused, at most once in 0.3 s."""

    BETA, ONCE_IN = 0.5, 0.3

    def __init__(self, cap: int) -> None:
        self._cap, self._limit, self._in_flight = cap, 10.0, 0
        self._lowered = -inf

    def wait(self, now: float) -> float:
        return 0.0 if self._in_flight < self._limit else inf

    def sent(self, now: float) -> None:
        self._in_flight += 1

    def answered(self, call: object, now: float, day: float | None = None, minute: float | None = None) -> None:
        self._in_flight -= 1
        self._limit = min(self._cap, self._limit + 1 / self._limit)

    def refused(self, call: object, now: float, limit: str, retry_in: float = 0.0) -> None:
        if now - self._lowered >= self.ONCE_IN:
            self._lowered = now
            self._limit = max(1.0, self._limit * self.BETA)

    def lost(self, call: object, now: float) -> None:
        self._in_flight -= 1


def reference(name: str, cap: int, rng: Random) -> Blind:
    """One of them by its name."""
    return {"seed": lambda: SeedRule(rng, cap), "blind": Blind, "aimd": lambda: Aimd(cap)}[name]()
