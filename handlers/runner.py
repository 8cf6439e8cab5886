"""One run of one interface, from its first line in the ledger to its last.

A first run and a rerun are one path: the plan is made unless it is whole already, then the open units are streamed
from the ledger, and the result is counted there.
"""

import asyncio
import signal
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, aclosing
from functools import partial
from typing import TypeVar

import structlog

from ark.accounts import Directory, connect
from ark.alerts import Alerts, open_alerts
from ark.errors import ArkError, EmptyListError, InternalError, LaterError, ServiceDownError, StoppedError, TokenError
from ark.events import EventLog, LogType, Subject, open_events, record, version
from ark.http import HttpClient
from ark.job import Job, encode
from ark.keys import Keys
from ark.ledger import Figures, Ledger, Run, Trigger, UnitKey, UnitResult
from ark.quota import WindowGate
from ark.settings import Settings
from ark.stores import open_sink
from ark.tokens import Tokens
from ark.units import Unit, spell
from handlers import progress
from handlers.api import ApiHandler
from handlers.fetcher import Fetcher
from handlers.outcomes import Failures
from handlers.pipeline import Pipeline
from handlers.queue import TaskQueue
from handlers.records import RecordReader
from handlers.settler import Settler
from handlers.task import Task

log = structlog.get_logger(__name__)
T = TypeVar("T")

CHUNK = 1000
"""Units that are planned, or drawn from the ledger, at a time."""
UNUSABLE = "unusable"
"""The variant under which members of an account list that are no accounts are kept: failed, and never called for."""


class Runner:
    """Executes one run that the ledger has begun or reopened."""

    def __init__(self, settings: Settings, ledger: Ledger, run: Run, job: Job, handler: ApiHandler) -> None:
        self._settings, self._ledger, self._run, self._job, self._handler = settings, ledger, run, job, handler
        self._keys = Keys.of(handler.medium, job.tenant_alias, job.data_date, job.agent_id)
        self._thread = ThreadPoolExecutor(1, "ledger")
        self._pipeline: Pipeline | None = None
        self._stopped_by: ArkError | None = None
        self._variants = {spell(variant): variant for variant in handler.variant_values()}

    async def execute(self, states: Sequence[str], followers: Callable[[Run], Sequence[Trigger]]) -> Run:
        """Do the units in `states`; the intents of `followers` are kept with the result if all is done."""
        events = open_events(self._settings, self._handler.medium)
        alerts = open_alerts(self._settings, self._tags())
        started = time.monotonic()
        run = self._run
        log.info(
            "run", id=run.run_id, interface=run.interface, version=version(), pid=run.pid, argument=encode(self._job)
        )
        self._tell(events, LogType.JOB_START, f"{run.run_id} started")
        error: ArkError | None = None
        try:
            work = asyncio.create_task(self._work(states))
            self._listen(work)
            await work
        except ArkError as raised:
            error = raised
        except asyncio.CancelledError:
            if self._stopped_by is None:
                raise
            error = self._stopped_by
        except Exception as raised:
            log.exception("a bug of Ark ends the run", run=self._run.run_id)
            alerts.crash(raised)
            error = InternalError(f"a bug of Ark: {type(raised).__name__}: {raised}")
        try:
            run = await self._finish(error, time.monotonic() - started, followers)
            self._report(run, error, events, alerts)
        finally:
            self._thread.shutdown()
            await asyncio.to_thread(alerts.close)
            undelivered = await asyncio.to_thread(events.close)
            if undelivered:
                log.warning("event records did not arrive; they are in the spill file", records=undelivered)
        return run

    async def _work(self, states: Sequence[str]) -> None:
        """Everything between the run's first and last line; what must fail does so before the first call."""
        handler, job = self._handler, self._job
        async with AsyncExitStack() as stack:
            sink = open_sink(job.output, self._settings, tenant=job.tenant_alias, day=job.data_date)
            stack.callback(sink.close)
            await asyncio.to_thread(sink.check, handler.table)
            directory = await connect(self._settings)
            stack.push_async_callback(directory.aclose)
            if self._run.status == "planning":
                await self._plan(directory)
            http = await stack.enter_async_context(HttpClient(self._settings.http))
            settler = Settler(lambda results: self._call(self._ledger.settle, self._run.run_id, results))
            queue = TaskQueue(self._tasks(states))
            lists = partial(directory.account_list, getattr(self._keys, handler.fills or "accounts"))
            pipeline = Pipeline(handler, self._settings, sink, self._run.version, settler, queue, lists)
            medium = getattr(self._settings, handler.medium)
            fetcher = Fetcher(
                handler,
                medium.url,
                self._settings.http.attempts,
                queue=queue,
                http=http,
                gate=WindowGate(medium.window),
                tokens=Tokens(directory, self._keys),
                reader=RecordReader(handler, job.tenant_alias, job.data_date, self._run.version),
                outcomes=pipeline.outcomes,
                take=pipeline.take,
                stop=pipeline.stop,
            )
            self._pipeline = pipeline
            planned = (await self._call(self._ledger.figures, self._run.run_id)).planned
            async with progress.shown(pipeline.outcomes.meter, planned):
                await pipeline.run(fetcher)
            if pipeline.outcomes.meter.requests and not fetcher.answered:
                raise ServiceDownError(f"{handler.medium} at {medium.url} answered none of the run's calls")

    async def _plan(self, directory: Directory) -> None:
        """Write down every unit before the first call; may be repeated after a crash."""
        unusable: list[str] = []
        async with aclosing(self._accounts(directory, unusable.append)) as chunks:
            async for accounts in chunks:
                units = [
                    UnitKey(self._job.agent_id, account, variant) for account in accounts for variant in self._variants
                ]
                for start in range(0, len(units), CHUNK):
                    await self._call(self._ledger.plan, self._run.run_id, units[start : start + CHUNK])
        await self._plan_unusable(unusable)
        if not await self._call(self._ledger.freeze, self._run.run_id):
            raise EmptyListError(f"nothing to do for agent {self._job.agent_id}")

    def _accounts(self, directory: Directory, unusable: Callable[[str], None]) -> AsyncGenerator[list[str]]:
        """What the job works on: the accounts it names, else those of its agent in its key; the agent for a list."""
        if self._handler.by == "agent":
            return _chunks([""])
        if self._job.account_list:
            return _chunks(list(dict.fromkeys(self._job.account_list)))
        key = self._job.redis_accounts_key or self._keys.accounts
        return directory.accounts(key, self._job.agent_id, unusable)

    async def _plan_unusable(self, unusable: Sequence[str]) -> None:
        """Members of the list that are no accounts become failed units: they are counted, never left out."""
        for number, reason in enumerate(unusable, 1):
            log.warning("unusable member of the account list", reason=reason)
            key = UnitKey(self._job.agent_id, f"member {number}", UNUSABLE)
            await self._call(self._ledger.plan, self._run.run_id, [key])
            await self._call(self._ledger.settle, self._run.run_id, [UnitResult(key, "failed", reason)])

    async def _tasks(self, states: Sequence[str]) -> AsyncIterator[Sequence[Task]]:
        """The units to do, from the ledger, one chunk read ahead."""

        def read(after: UnitKey | None) -> "asyncio.Future[list[UnitKey]]":
            return asyncio.ensure_future(self._call(self._ledger.open_units, self._run.run_id, after, CHUNK, states))

        keys = await read(None)
        while keys:
            ahead = read(keys[-1])
            yield [self._task(key) for key in keys if key.variant in self._variants]
            keys = await ahead

    def _task(self, key: UnitKey) -> Task:
        job = self._job
        unit = Unit(job.tenant_alias, job.data_date, key.agent, key.account, self._variants[key.variant])
        return Task(key, unit)

    async def _finish(
        self, error: ArkError | None, seconds: float, followers: Callable[[Run], Sequence[Trigger]]
    ) -> Run:
        """The result, counted from the units in the ledger, and with it what is to follow."""
        stopped = self._pipeline.stopped_by if self._pipeline else None
        figures = await self._call(self._ledger.figures, self._run.run_id)
        failures = self._pipeline.outcomes.failures if self._pipeline else {}
        status, exit_code = conclude(figures, error or stopped, list(failures.values()))
        refused = self._pipeline.outcomes.meter.refused if self._pipeline else 0
        next_jobs = followers(self._run) if status == "done" else ()
        return await self._call(
            self._ledger.finish,
            self._run.run_id,
            status,
            exit_code,
            seconds,
            refused,
            next_jobs,
            str(error or stopped or ""),
        )

    def _report(self, run: Run, error: ArkError | None, events: EventLog, alerts: Alerts) -> None:
        failures = self._pipeline.outcomes.failures if self._pipeline else {}
        for kind, failure in failures.items():
            alerts.failure(kind, failure.reason, count=failure.count, samples=failure.samples)
        if failures:
            content = {kind: {"count": failure.count, "reason": failure.reason} for kind, failure in failures.items()}
            self._tell(events, LogType.UNIT_FAILURES, content, level="error")
        if error is not None:
            alerts.failure(type(error).__name__, str(error))
            self._tell(events, LogType.JOB_ERROR, str(error), level="error")
        for name in run.next:
            self._tell(events, LogType.NEXT_JOB, name)
        self._tell(events, LogType.JOB_END, f"{run.run_id} {run.status}, exit {run.exit_code}")

    def _tell(self, events: EventLog, log_type: LogType, content: object, level: str = "info") -> None:
        job = self._job
        subject = Subject(
            tenant=job.tenant_alias,
            job=job.cur_job_name or self._run.interface,
            interface=self._handler.path,
            agent=job.agent_id,
            date=job.data_date.isoformat(),
            run_id=self._run.run_id,
            argv=encode(job),
        )
        events.emit(record(log_type, content, subject, level=level))

    def _tags(self) -> dict[str, str]:
        job = self._job
        return {
            "media": self._handler.medium,
            "tenant": job.tenant_alias,
            "job": job.cur_job_name or self._run.interface,
            "interface": self._run.interface,
            "agent_id": job.agent_id,
            "data_date": job.data_date.isoformat(),
            "run_id": self._run.run_id,
        }

    def _listen(self, work: "asyncio.Task[None]") -> None:
        """Signals and the deadline stop the run cleanly; a second signal ends the process at once."""
        loop = asyncio.get_running_loop()

        def on_signal(number: int) -> None:
            loop.remove_signal_handler(number)
            log.warning("stopping after what is under way; once more to end at once", signal=number)
            stop(StoppedError(number))

        def stop(reason: ArkError) -> None:
            self._stopped_by = self._stopped_by or reason
            if self._pipeline is None:
                work.cancel()
            else:
                self._pipeline.stop(reason)

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, on_signal, number)
        if self._settings.run.deadline:
            loop.call_later(
                self._settings.run.deadline,
                stop,
                LaterError(f"run.deadline of {self._settings.run.deadline:g} s has passed"),
            )

    async def _call(self, function: Callable[..., T], *arguments: object) -> T:
        """Call the ledger in its own thread."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *arguments)


def conclude(figures: Figures, error: ArkError | None, failures: Sequence[Failures]) -> tuple[str, int]:
    """A run's status and exit code: done only if every planned unit is verified or skipped (with its reason)."""
    if isinstance(error, LaterError | StoppedError):
        return "stopped", error.exit_code
    if error is not None:
        return "failed", error.exit_code
    if figures.open:
        return "failed", InternalError.exit_code
    if not figures.failed:
        return "done", 0
    refused = failures and all(failure.token for failure in failures)
    return "partial" if figures.verified else "failed", TokenError.exit_code if refused else 3


async def _chunks(accounts: list[str]) -> AsyncGenerator[list[str]]:
    yield accounts
