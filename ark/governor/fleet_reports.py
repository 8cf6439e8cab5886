"""What the processes of a fleet tell each other, and what `ark quota` shows of it."""

from typing import NamedTuple

import msgspec


class Who(msgspec.Struct, frozen=True, omit_defaults=True):
    """Whose calls they are; for people, nothing is decided by it. What is unknown is empty."""

    run: str = ""
    host: str = ""
    pid: int = 0
    interface: str = ""
    tenant: str = ""
    agent: str = ""
    job: str = ""


class Report(msgspec.Struct, frozen=True, omit_defaults=True):
    """One process, as it told of itself last. Percents are None where the medium never told; quotas 0.0: unknown."""

    who: Who = Who()
    quota: float = 0.0
    """Calls per window, as measured by this process' own calls: in a fleet about its own part of the whole."""
    day_quota: float = 0.0
    """Calls per day, likewise."""
    pace: float = 0.0
    """Calls per second."""
    day: float | None = None
    minute: float | None = None
    sent: int = 0
    """Calls since it began."""
    refused: int = 0
    """Refusals in the hour before the report."""
    in_flight: int = 0
    spent: str = ""
    """Why it sends nothing more today; empty: it does."""
    firm: bool = False
    """`quota` is about so large; else at least."""


class Member(NamedTuple):
    """A process in a scope: one that lives, or one of the last hour that left or died."""

    worker: str
    """A random id of this process in this scope."""
    report: Report
    age: float
    """Seconds since it reported."""
    lives: bool
    """Its lease has not ended."""
    rank: int = 0
    of: int = 0
    """It may use part number `rank` (from 0) of `of` equal parts of the quota; 0: no part yet."""

    @property
    def share(self) -> float:
        """Which part of the quota is its own: 0 to 1."""
        return 1 / self.of if self.of else 0.0


class Kept(NamedTuple):
    """What a scope's processes learned, kept for the next ones. 0.0: unknown."""

    quota: float = 0.0
    """Calls per window of the whole scope."""
    day_quota: float = 0.0
    """Calls per day, at least."""
    boundary: float = 0.0
    """When a window began, unix seconds."""
    pace: float = 0.0
    """Calls per second of the whole scope."""
    kept_at: float = 0.0
    """Unix seconds."""
    kind: str = ""
    """How the quota is refilled."""


class Look(NamedTuple):
    """One scope at one moment, by the clock of Redis."""

    scope: str
    """`{section}:{host of the medium}:{client id or "-"}:{path}`"""
    members: tuple[Member, ...] = ()
    """Those that live first, by rank of joining; then those that are gone, the last seen first."""
    kept: Kept | None = None
    refusals: int = 0
    """In the last hour, of all processes, also of those that are gone; to the minute."""
    day: float | None = None
    """Percent left of the day, as told last; None: not told in KEPT."""
    minute: float | None = None
    """Percent left of the minute, as told last."""
    told_at: float = 0.0
    """When they were told, unix seconds; 0.0: never."""
    at: float = 0.0
    """The moment of this look, unix seconds."""

    @property
    def living(self) -> tuple[Member, ...]:
        """Who is using the scope."""
        return tuple(member for member in self.members if member.lives)

    @property
    def pace(self) -> float:
        """Calls per second of all that live."""
        return sum(member.report.pace for member in self.living)
