"""The gates of one run: one for each path, since that is what the media count calls by."""

import asyncio
from collections.abc import Awaitable, Callable

from ark.governor.gate import Gate, Permit
from handlers.api import ApiHandler

HELD_AT_MOST = 10_000
"""Accounts; of more, those that were held back first are let go: at worst they are refused once more."""
TURN = 1.0
"""Seconds at most that a unit stays in the queue because others wait for the same gate already."""


class OpenGate(Gate):
    """Lets everybody through: where the quota is each account's own, no account waits for another."""

    async def permit(self) -> Permit:
        """At once."""
        return self.governor.sent(asyncio.get_running_loop().time())

    def closed_for(self) -> float:
        """Never closed."""
        return 0.0


class Gates:
    """Opens the gate of each path when it is first asked for. `slots` is how many calls may be in flight."""

    def __init__(self, open_: Callable[[ApiHandler], Awaitable[Gate]], slots: int) -> None:
        self._open, self._slots = open_, slots
        self._gates: dict[str, Gate] = {}
        self._opening = asyncio.Lock()

    async def of(self, handler: ApiHandler) -> Gate:
        """The gate of the interface's path."""
        gate = self._gates.get(handler.path)
        if gate is None:
            async with self._opening:
                gate = self._gates.get(handler.path) or await self._open(handler)
                self._gates[handler.path] = gate
        return gate

    def crowded(self, gate: Gate) -> float:
        """Seconds that a unit should stay in the queue, so that workers are left for calls of other paths; 0.0: none.

        At a gate that is closed no more of them wait than is its share.
        """
        if len(self._gates) == 1 or gate.waiting < self._slots // len(self._gates):
            return 0.0
        return min(gate.closed_for(), TURN)


class Held:
    """Accounts that have used up their own quota, each on one path; they are forgotten when their wait is over."""

    def __init__(self) -> None:
        self._until: dict[tuple[str, str], float] = {}

    def __len__(self) -> int:
        return len(self._until)

    def hold(self, account: str, path: str, seconds: float) -> None:
        """The account is not to be called there for so long."""
        now = asyncio.get_running_loop().time()
        self._until.pop((account, path), None)
        self._until[account, path] = now + seconds
        while (first := next(iter(self._until.items())))[1] <= now or len(self._until) > HELD_AT_MOST:
            del self._until[first[0]]

    def seconds(self, account: str, path: str) -> float:
        """For how long still; 0.0: not at all."""
        until = self._until.get((account, path))
        if until is None:
            return 0.0
        left = until - asyncio.get_running_loop().time()
        if left <= 0.0:
            del self._until[account, path]
        return max(left, 0.0)
