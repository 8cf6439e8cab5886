"""Data that a medium has not completed yet, or still changes: which runs are provisional, which days to pull again."""

from datetime import date, datetime, time, timedelta

from ark.clock import SHANGHAI
from ark.errors import UsageError
from handlers.api import ApiHandler


def is_provisional(handler: type[ApiHandler], day: date, now: datetime) -> bool:
    """Whether the medium has not completed `day` by `now`: about 08:00 of the next day in Shanghai."""
    if handler.complete_at is None:
        return False
    return now < datetime.combine(day + timedelta(days=1), time(handler.complete_at), SHANGHAI)


def restated_days(handler: type[ApiHandler], day: date) -> list[date]:
    """`day` and the days before it that the medium may still change by then, newest first.

    Raises UsageError where nothing is changed later.
    """
    if not handler.restated:
        raise UsageError(f"{handler.name()} is not changed later by the medium: leave --restate out")
    return [day - timedelta(days=back) for back in range(handler.restated + 1)]
