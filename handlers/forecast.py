"""What a job will take: its calls, their share of the quota, when it is done. Pure: what is known comes in."""

import datetime as dt
from collections.abc import Sequence

import msgspec

from ark.clock import SHANGHAI
from ark.ledger import Run
from handlers.api import ApiHandler

LONGEST = dt.timedelta(days=366)
"""What would take longer is not foretold."""
SMALLER = 10
"""A run of so many times fewer requests says little of the pace of a large one: it mostly starts and ends."""


class Past(msgspec.Struct, frozen=True, kw_only=True):
    """What the ledger has seen of an interface."""

    of: str
    """Whose runs these are: agent, tenant or interface."""
    runs: int
    requests_per_unit: float
    """Calls that were made for each that was planned; where one call asks for many accounts, they are one unit."""
    pace: float
    """Calls per second; 0.0: no run says."""


class Allowance(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the quota of one (app, interface); figures in calls."""

    source: str
    """Who says so, or why nobody does."""
    window: float = 60.0
    """Seconds of the medium's minute."""
    minute: float | None = None
    """Per window."""
    day: float | None = None
    day_left: float | None = None
    day_percent: float | None = None
    """What is left of the day, as the medium told last."""
    measured_pace: float = 0.0
    """Calls per second at which runs go, or went; 0.0: unknown."""
    in_use: int = 0
    """Processes that use it now."""

    @property
    def pace(self) -> float | None:
        """Calls per second that it allows for long."""
        return self.minute / self.window if self.minute else None


class Forecast(msgspec.Struct, frozen=True, kw_only=True):
    """What so many calls will take; None: unknown."""

    calls: int
    minute_share: float | None
    """Percent of one minute's quota."""
    day_share: float | None
    """Percent of a whole day's quota."""
    calls_today: int | None
    """How many of them what is left of the day's quota suffices for."""
    pace: float | None
    """Calls per second."""
    seconds: float | None
    """From now until the last one."""
    finish: dt.datetime | None
    """In Shanghai."""

    def accounts_today(self, accounts: int) -> int | None:
        """How many of the job's accounts fit into the day."""
        if self.calls_today is None or not self.calls:
            return None if self.calls else accounts
        return accounts * self.calls_today // self.calls


def least_calls(handler: ApiHandler | type[ApiHandler], accounts: int) -> int:
    """The calls for so many accounts if every answer has one page: the least there can be."""
    return -(-accounts // handler.batch) * len(list(handler.variant_values()))


def past(of: str, handler: ApiHandler | type[ApiHandler], runs: Sequence[Run], calls: int) -> Past | None:
    """What these runs tell of a next one of about `calls` calls; None where none of them has called."""
    told = [run for run in runs if run.requests and run.planned > run.open]
    planned = sum(_planned_calls(handler, run) for run in told)
    if not planned:
        return None
    ratio = sum(run.requests for run in told) / planned
    return Past(of=of, runs=len(told), requests_per_unit=ratio, pace=_pace(told, calls * ratio))


def predicted_calls(least: int, seen: Past | None) -> int:
    """The calls to expect where `least` are planned."""
    return round(least * seen.requests_per_unit) if seen else least


def forecast(calls: int, allowance: Allowance, seen: float, now: dt.datetime) -> Forecast:
    """When so many calls of one scope will have been made, begun now, as fast as the quota lets them and runs were."""
    paces = [pace for pace in (allowance.pace, seen) if pace]
    pace = min(paces) if paces else allowance.measured_pace or None
    finish = _finish(calls, pace, allowance, now) if pace else None
    left = allowance.day_left
    return Forecast(
        calls=calls,
        minute_share=_share(calls, allowance.minute),
        day_share=_share(calls, allowance.day),
        calls_today=None if left is None else min(calls, int(left)),
        pace=pace,
        seconds=(finish - now).total_seconds() if finish else None,
        finish=finish,
    )


def _planned_calls(handler: ApiHandler | type[ApiHandler], run: Run) -> int:
    """The calls that a run's settled units would have taken with one page each."""
    variants = len(list(handler.variant_values()))
    return least_calls(handler, -(-(run.planned - run.open) // variants))


def _pace(runs: Sequence[Run], calls: float) -> float:
    """Calls per second, of runs that are of the size of the next one; else of the fastest.

    What was taken up again is left out: its requests are those of all attempts, its seconds those of the last.
    """
    timed = [run for run in runs if run.attempt == 1 and run.seconds > 0]
    large = [run for run in timed if run.requests * SMALLER >= calls]
    if large:
        return sum(run.requests for run in large) / sum(run.seconds for run in large)
    return max((run.requests / run.seconds for run in timed), default=0.0)


def _finish(calls: float, pace: float, allowance: Allowance, now: dt.datetime) -> dt.datetime | None:
    """What the day's quota does not suffice for goes on at 00:00."""
    moment, left = now.astimezone(SHANGHAI), allowance.day_left
    while moment - now < LONGEST:
        midnight = dt.datetime.combine(moment.date() + dt.timedelta(days=1), dt.time(), SHANGHAI)
        today = pace * (midnight - moment).total_seconds()
        today = today if left is None else min(today, left)
        if calls <= today:
            return moment + dt.timedelta(seconds=calls / pace)
        calls, moment, left = calls - today, midnight, allowance.day
    return None


def _share(calls: int, quota: float | None) -> float | None:
    return 100 * calls / quota if quota else None
