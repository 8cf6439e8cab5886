"""Dates of Asia/Shanghai and the clocks that are passed in wherever time matters."""

import time
from datetime import date, datetime, timedelta, timezone

SHANGHAI = timezone(timedelta(hours=8), "Asia/Shanghai")
"""All dates of the media are dates here; China has had one zone and no summer time since 1991."""


def today(moment: datetime | None = None) -> date:
    """The date it is in Shanghai at `moment` (default: now)."""
    return (moment or now()).astimezone(SHANGHAI).date()


def now() -> datetime:
    """This moment, in Shanghai."""
    return datetime.now(SHANGHAI)


def uptime() -> float:
    """Seconds that only ever grow, also while the machine or this process sleeps; the same for all of one machine."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
