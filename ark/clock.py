"""Dates of Asia/Shanghai and the clocks that are passed in wherever time matters."""

from datetime import date, datetime, timedelta, timezone

SHANGHAI = timezone(timedelta(hours=8), "Asia/Shanghai")
"""All dates of the media are dates here; China has had one zone and no summer time since 1991."""


def today(now: datetime | None = None) -> date:
    """The date it is in Shanghai at `now` (default: at this moment)."""
    return (now or datetime.now(SHANGHAI)).astimezone(SHANGHAI).date()
