"""What is known of a job's quota: what runs have measured and keep in Redis, else what its argument says."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import datetime

from ark.accounts.directory import Directory
from ark.clock import SHANGHAI
from ark.governor.fleet import Clock, Fleets, Look
from ark.job import Job
from handlers.api import ApiHandler
from handlers.forecast import Allowance
from handlers.scopes import scope_of

MINUTE = 60.0
"""Seconds that minutely_control is of."""


class Allowances:
    """The quotas of the interfaces that one command plans; each scope is looked at once.

    `day_share` is how many percent of the day's quota one run of an interface may use.
    """

    def __init__(self, directory: Callable[[], Awaitable[Directory]], day_share: Callable[[str], int]) -> None:
        self._directory, self._day_share = directory, day_share
        self._looks: dict[str, Look] = {}

    async def of(self, handler: ApiHandler, job: Job) -> Allowance:
        """What is known of the quota that this job's calls go on."""
        scope = scope_of(handler)
        look = await self._look(str(scope)) if scope else None
        known = measured(look, handler.settings.window, self._day_share(handler.name())) if look else None
        if known is not None and (known.minute or not job.minutely_control):
            return known
        if job.minutely_control:
            return Allowance(source="minutely_control", window=MINUTE, minute=job.minutely_control)
        return Allowance(source=f"unknown: {handler.quota_rule}", window=handler.settings.window)

    async def _look(self, scope: str) -> Look:
        if scope not in self._looks:
            clock = Clock(asyncio.get_running_loop().time, time.time)
            self._looks[scope] = await Fleets(await self._directory(), clock).look(scope)
        return self._looks[scope]


def measured(look: Look, window: float, day_share: float) -> Allowance | None:
    """The quota as the scope's runs have measured it; None where they have not."""
    reports = [member.report for member in look.living]
    minute = estimate(look)
    day = max(sum(report.day_quota for report in reports), look.kept.day_quota if look.kept else 0.0)
    pace = look.pace or (look.kept.pace if look.kept else 0.0)
    percent = day_percent(look)
    if not (minute or day or pace or percent is not None):
        return None
    left = day * min(percent, day_share) / 100 if day and percent is not None else None
    return Allowance(
        source="measured by runs" if minute else "no run has come near it yet",
        window=window,
        minute=minute or None,
        day=day or None,
        day_left=left,
        day_percent=percent,
        measured_pace=pace,
        in_use=len(reports),
    )


def estimate(look: Look) -> float:
    """Calls per window of the whole scope; 0.0: unknown."""
    together = sum(member.report.quota for member in look.living if member.report.firm)
    return max(together, look.kept.quota if look.kept else 0.0)


def day_percent(look: Look) -> float | None:
    """What is left of today's quota; what was told yesterday says nothing of today."""
    told, at = (datetime.fromtimestamp(moment, SHANGHAI).date() for moment in (look.told_at, look.at))
    return look.day if told == at else None
