"""Shares of one quota in simulated time, as a fleet gives them out: `Board` is Redis, `Leased` a process.

    board = Board(period=0.5)
    members = [Member(Leased(Governor("percent", cap=20), board), cap=20) for _ in range(4)]

Every `period` seconds a process reports its estimate and is told its rank, how many there are, the sum of all
estimates, and what the first one has found of the refills; a newcomer has no share before the others have renewed
theirs. Nothing expires: nobody dies here.
"""

from math import inf
from typing import Any

from ark.governor import Governor


class Board:
    """What all processes of the scope know."""

    def __init__(self, period: float) -> None:
        self.period = period
        self.quotas: dict[Leased, float] = {}
        self.shares: dict[Leased, float] = {}
        self.found: tuple[Any, float] = "", 0.0

    def renew(self, member: "Leased", quota: float) -> tuple[int, int, float]:
        """The share of this member: its rank, of how many (0: none yet), and the whole quota."""
        self.quotas[member] = quota
        count = len(self.quotas)
        others = sum(share for each, share in self.shares.items() if each is not member)
        fits = others + 1 / count <= 1 + 1e-9
        self.shares[member] = 1 / count if fits else 0.0
        return list(self.quotas).index(member), count if fits else 0, sum(self.quotas.values())


class Leased:
    """A governor that renews its share whenever it is due."""

    def __init__(self, governor: Governor, board: Board) -> None:
        self._governor, self._board = governor, board
        self._due = -inf

    def __getattr__(self, name: str) -> Any:
        return getattr(self._governor, name)

    def wait(self, now: float) -> float:
        """The governor's, with the share that holds now."""
        if now >= self._due:
            self._due = now + self._board.period
            rank, of, whole = self._board.renew(self, self._governor.state(now).quota)
            if of and not rank:
                hint = self._governor.hint()
                self._board.found = hint.kind, hint.boundary
            self._governor.take_share(rank, of, whole)
            self._governor.learn(*self._board.found)
        delay = self._governor.wait(now)
        return min(delay, self._due - now) if delay > 0.0 else 0.0
