"""What the world hears of one run: records for the event log, alarms for Sentry. Neither can fail or slow the run."""

import asyncio
from collections.abc import Mapping

import structlog

from ark.errors import ArkError
from ark.job import Job, encode
from ark.ledger import Run
from ark.observers.alerts import open_alerts
from ark.observers.event_log import open_events
from ark.observers.events import LogType, Subject, record, version
from ark.settings import Settings
from handlers.api import ApiHandler
from handlers.outcomes import Failures

log = structlog.get_logger(__name__)

ALL_SKIPPED = "the medium tells no account's data: are these the agent's accounts, and is it its token?"


class Observers:
    """The event log and the alarms of one run; `close` in any case."""

    def __init__(self, settings: Settings, handler: ApiHandler, run: Run, job: Job) -> None:
        name = job.cur_job_name or run.interface
        day = job.data_date.isoformat()
        self._events = open_events(settings, handler.medium)
        self._subject = Subject(
            tenant=job.tenant_alias,
            job=name,
            interface=handler.path,
            agent=job.agent_id,
            date=day,
            run_id=run.run_id,
            argv=encode(job),
        )
        tags = {
            "media": handler.medium,
            "tenant": job.tenant_alias,
            "job": name,
            "interface": run.interface,
            "agent_id": job.agent_id,
            "data_date": day,
            "run_id": run.run_id,
        }
        self._alerts = open_alerts(settings, tags)

    def started(self, run: Run) -> None:
        """The first line: a run that is killed has told at least what it was."""
        log.info("run", id=run.run_id, interface=run.interface, version=version(), pid=run.pid, job=run.job)
        self._tell(LogType.JOB_START, f"{run.run_id} started")

    def told(self, text: str) -> None:
        """Something to know before the run has ended."""
        log.warning(text)
        self._tell(LogType.JOB_NOTICE, text, level="warning")

    def crashed(self, error: Exception) -> None:
        """A bug of ours, with its stack."""
        log.error("a bug of Ark ends the run", exc_info=error)
        self._alerts.crash(error)

    def ended(self, run: Run, error: ArkError | None, failures: Mapping[str, Failures]) -> None:
        """The result: one alarm and one entry per kind of failure, what follows, the end."""
        for kind, failure in failures.items():
            self._alerts.failure(kind, failure.reason, count=failure.count, samples=failure.samples)
        if failures:
            content = {kind: {"count": failure.count, "reason": failure.reason} for kind, failure in failures.items()}
            self._tell(LogType.UNIT_FAILURES, content, level="error")
        if run.skipped == run.planned > 1:
            self._alerts.failure("AllSkipped", ALL_SKIPPED)
            log.warning(ALL_SKIPPED, run=run.run_id, skipped=run.skipped)
        if error is not None:
            self._alerts.failure(type(error).__name__, str(error))
            self._tell(LogType.JOB_ERROR, str(error), level="error")
        for name in run.next:
            self._tell(LogType.NEXT_JOB, name)
        self._tell(LogType.JOB_END, f"{run.run_id} {run.status}, exit {run.exit_code}")

    async def close(self, within: float | None = None) -> None:
        """Send what is left, within a few seconds, or fewer where so many are named."""
        _, undelivered = await asyncio.gather(
            asyncio.to_thread(self._alerts.close, within), asyncio.to_thread(self._events.close, within)
        )
        if undelivered:
            log.warning("event records did not arrive; they are in the spill file", records=undelivered)

    def _tell(self, log_type: LogType, content: object, level: str = "info") -> None:
        self._events.emit(record(log_type, content, self._subject, level=level))
