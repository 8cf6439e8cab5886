"""Shares of one quota in simulated time: the real `Fleet`, and its scripts in a real Redis that is told the time.

    shares = Shares(redis.Redis.from_url(url), "scope")
    members = [Member(Leased(Governor("percent", cap=20), shares, window=60.0), cap=20) for _ in range(4)]

Redis answers at once, and nobody dies here.
"""

from collections.abc import Coroutine, Sequence
from math import inf
from typing import TYPE_CHECKING, Any

from ark.governor import Governor
from ark.governor.fleet import Clock, Fleet, Who
from ark.governor.fleet_scripts import RENEW, WORDS
from ark.governor.fleet_store import FleetStore

if TYPE_CHECKING:
    import redis

NOON = 1_590_811_200.0
"""Unix seconds; when simulated time begins."""


class Shares(FleetStore):
    """The scripts with the time as their last argument, run by a client that waits for the answer."""

    def __init__(self, client: "redis.Redis[bytes]", scope: str) -> None:
        self._renew: Any = client.register_script("local now = tonumber(ARGV[#ARGV])\n" + WORDS + RENEW)
        self.scope = scope
        self.now = 0.0
        self.calls = 0

    async def _ask(self, script: Any, keys: list[bytes], values: Sequence[Any]) -> Any:
        self.calls += 1
        return script(keys, [*values, int((NOON + self.now) * 1000)])


class Leased:
    """A governor whose fleet renews its share whenever that is due."""

    def __init__(self, governor: Governor, shares: Shares, window: float) -> None:
        self._governor, self._shares = governor, shares
        clock = Clock(lambda: shares.now, lambda: NOON + shares.now)
        self._fleet = Fleet(shares, shares.scope, governor, Who(), window=window, clock=clock)
        governor.take_share(0, 0)
        self._due = -inf

    def __getattr__(self, name: str) -> Any:
        return getattr(self._governor, name)

    def wait(self, now: float) -> float:
        """The governor's, with the share that holds now."""
        if now >= self._due:
            self._shares.now = now
            self._due = now + _at_once(self._fleet._renew())
        delay = self._governor.wait(now)
        return min(delay, self._due - now) if delay > 0.0 else 0.0


def _at_once(renewing: Coroutine[Any, Any, float]) -> float:
    """The result of a coroutine that waits for nothing."""
    try:
        renewing.send(None)
    except StopIteration as end:
        return float(end.value)
    raise AssertionError("it waits")
