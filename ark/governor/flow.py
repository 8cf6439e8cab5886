"""What goes through one scope: calls sent and settled, and what each call knew when it was sent."""

from typing import Literal, Protocol

Limit = Literal["second", "minute", "day"]
"""Which quota a refusal names."""
Kind = Literal["", "fixed", "sliding", "bucket"]
"""How a quota is refilled; empty: unknown."""


class Flow:
    """How many calls were sent, and how many of them have ended."""

    __slots__ = ("sent", "settled")

    def __init__(self) -> None:
        self.sent = self.settled = 0

    @property
    def in_flight(self) -> int:
        """Calls that have not ended."""
        return self.sent - self.settled


class Call:
    """One call: its number, when it was sent, and what was known then; the laws' own."""

    __slots__ = ("epoch", "heard", "least", "number", "sent_at", "settled")

    def __init__(self, number: int, sent_at: float, settled: int, epoch: int, least: float) -> None:
        self.number, self.sent_at, self.settled, self.epoch, self.least = number, sent_at, settled, epoch, least
        self.heard = False


class Law(Protocol):
    """How one dialect's minute is paced. The governor has counted a call in the flow before it tells the law."""

    quota: float
    """Calls per window, as far as is known; 0.0: unknown."""
    epoch: int
    """Which stretch between two refills of the quota it is."""
    least: float
    """The least percent told in it."""

    @property
    def firm(self) -> bool:
        """Whether `quota` is about what there is, and not only a bound that was never tried."""

    @property
    def boundary(self) -> float:
        """When a window began, as far as is known; 0.0: unknown."""

    @property
    def kind(self) -> Kind:
        """How the quota is refilled, as far as is known."""

    @property
    def measured(self) -> float:
        """Calls per window that this process' own calls have shown; in a fleet about its part of the quota."""

    def wait(self, now: float) -> float:
        """0.0, or seconds until to ask again."""

    def sent(self, now: float) -> None:
        """One call leaves."""

    def answered(self, call: Call, now: float, minute: float | None) -> None:
        """The headers of an answer."""

    def refused(self, call: Call, now: float, limit: Limit, retry_in: float) -> None:
        """A refusal; `call.heard`: its headers came before."""

    def lost(self, call: Call, now: float) -> None:
        """No information."""

    def take_share(self, rank: int, of: int, quota: float) -> None:
        """A fleet's share."""

    def learn(self, kind: Kind, boundary: float) -> None:
        """What a mate has learned of the refills."""
