"""Data that a medium has not completed yet, or still changes: which runs are provisional, which days to pull again."""

from datetime import date, datetime, time, timedelta

import msgspec

from ark.accounts.keys import Keys
from ark.clock import SHANGHAI
from ark.errors import UsageError
from ark.job import Job
from handlers.api import ApiHandler
from handlers.lists import list_key


def is_provisional(handler: type[ApiHandler], day: date, now: datetime) -> bool:
    """Whether the medium has not completed `day` by `now`: about 08:00 of the next day in Shanghai."""
    if handler.complete_at is None:
        return False
    return now < datetime.combine(day + timedelta(days=1), time(handler.complete_at), SHANGHAI)


def restated_jobs(handler: type[ApiHandler], job: Job) -> list[Job]:
    """The job for its date and for each day before that the medium may still change by then, newest first.

    All are for the accounts of the job's date. Raises UsageError where nothing is changed later.
    """
    if not handler.restated:
        raise UsageError(f"{handler.name()} is not changed later by the medium: leave --restate out")
    if not job.account_list and handler.by == "account":
        keys = Keys.of(handler.section, job.tenant_alias, job.data_date, job.agent_id)
        job = msgspec.structs.replace(job, redis_accounts_key=list_key(handler, job, keys))
    days = (job.data_date - timedelta(days=back) for back in range(handler.restated + 1))
    return [msgspec.structs.replace(job, data_date=day) for day in days]
