"""One run of one interface, from its first line in the ledger to its last.

A first run and a rerun are one path: the plan is made unless it is whole already, then the open units are streamed
from the ledger, and the result is counted there.
"""

import asyncio
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial

import structlog

from ark.accounts.account_list import AccountList
from ark.accounts.directory import Directory, connect
from ark.accounts.keys import Keys
from ark.accounts.tokens import Tokens
from ark.errors import ArkError, InternalError, LaterError, ServiceDownError, StoppedError, TokenError
from ark.http import HttpClient
from ark.job import Job
from ark.ledger import OPEN, Figures, Ledger, Run, Trigger
from ark.quota import WindowGate
from ark.settings import Settings
from ark.stores import open_sink
from handlers import progress
from handlers.api import ApiHandler
from handlers.fetcher import Fetcher
from handlers.observers import Observers
from handlers.outcomes import Failures
from handlers.pipeline import Pipeline
from handlers.plan import LedgerThread, Plan
from handlers.queue import TaskQueue
from handlers.records import RecordReader
from handlers.refresh import refresher
from handlers.settler import Settler

log = structlog.get_logger(__name__)

SIGNALS = (signal.SIGINT, signal.SIGTERM)


NextJobs = Callable[[Sequence[str]], Sequence[Trigger]]
"""The second-generation agents that a run has listed -> the jobs that follow it."""


class Runner:
    """Executes one run that the ledger has begun or reopened."""

    def __init__(self, settings: Settings, ledger: Ledger, run: Run, job: Job, handler: ApiHandler) -> None:
        self._settings, self._ledger, self._run, self._job, self._handler = settings, ledger, run, job, handler
        self._call = LedgerThread()
        self._pipeline: Pipeline | None = None
        self._work: asyncio.Task[None] | None = None
        self._stopped_by: ArkError | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._children: list[str] = []
        """The second-generation agents of this one, after they were listed."""

    async def execute(self, states: Sequence[str], next_jobs: NextJobs) -> Run:
        """Do the units in `states`; the intents to start `next_jobs` are kept with the result if all is done."""
        observers = Observers(self._settings, self._handler, self._run, self._job)
        started = time.monotonic()
        try:
            observers.started(self._run)
            error = await self._guarded(states, observers)
            run = await self._finish(states, error, time.monotonic() - started, next_jobs)
            observers.ended(run, error, self._pipeline.outcomes.failures if self._pipeline else {})
        finally:
            self._deafen()
            self._call.close()
            await observers.close()
        return run

    def stop(self, reason: ArkError) -> None:
        """End the run cleanly: what is fetched is stored, the rest stays planned."""
        self._stopped_by = self._stopped_by or reason
        if self._pipeline is not None:
            self._pipeline.stop()
        elif self._work is not None:
            self._work.cancel()

    @property
    def signalled(self) -> int | None:
        """The exit code of the signal that came, even where the run had nothing left to stop."""
        return self._stopped_by.exit_code if isinstance(self._stopped_by, StoppedError) else None

    async def _guarded(self, states: Sequence[str], observers: Observers) -> ArkError | None:
        """Work; what ended the work early, if anything did."""
        self._work = asyncio.create_task(self._do(states))
        self._listen()
        try:
            await self._work
        except ArkError as error:
            return error
        except asyncio.CancelledError:
            if self._stopped_by is None:
                raise
        except Exception as error:  # noqa: BLE001 - a bug ends the run, and the ledger says so
            observers.crashed(error)
            return InternalError(f"a bug of Ark: {type(error).__name__}: {error}")
        return self._stopped_by

    async def _do(self, states: Sequence[str]) -> None:
        """Everything between the run's first and last line; what must fail does so before the first call."""
        handler, job, settings, version = self._handler, self._job, self._settings, self._run.version
        medium = handler.settings
        keys = Keys.of(handler.section, job.tenant_alias, job.data_date, job.agent_id)
        plan = Plan(self._ledger, self._call, self._run.run_id, handler, job)
        async with AsyncExitStack() as stack:
            sink = open_sink(job.output, settings, tenant=job.tenant_alias, day=job.data_date)
            stack.callback(sink.close)
            await asyncio.to_thread(sink.check, handler.table)
            directory = await connect(settings)
            stack.push_async_callback(directory.aclose)
            if self._run.status == "planning":
                await plan.make(directory, keys)
            http = await stack.enter_async_context(HttpClient(settings.http))
            refresh = refresher(settings, handler.section, job.tenant_alias, directory, keys, http)
            queue = TaskQueue(plan.tasks(states))
            lists = await self._lists(directory, keys)
            settler = Settler(partial(self._call, self._ledger.settle, self._run.run_id))
            self._pipeline = pipeline = Pipeline(handler, settings, sink, version, settler, queue, lists)
            fetcher = Fetcher(
                handler,
                medium.url,
                settings.http.attempts,
                queue=queue,
                http=http,
                gate=partial(WindowGate, medium.window),
                tokens=Tokens(directory, keys, refresh=refresh),
                reader=RecordReader(type(handler), job.tenant_alias, job.data_date, version),
                outcomes=pipeline.outcomes,
                take=pipeline.take,
                stop=self.stop,
            )
            figures = await self._call(self._ledger.figures, self._run.run_id)
            async with progress.shown(pipeline.outcomes.meter, figures.open + figures.failed):
                await pipeline.run(fetcher)
            if pipeline.outcomes.meter.requests and not fetcher.answered and self._stopped_by is None:
                raise ServiceDownError(f"{handler.medium} at {medium.url} answered none of the run's calls")
            if handler.fills == "child_agents":
                self._children = await directory.members(keys.child_agents, job.agent_id)
                await directory.add_agents(keys.all_agents, self._children)

    async def _lists(self, directory: Directory, keys: Keys) -> Callable[[str], AccountList] | None:
        """How the accounts that come are put into a Redis list; None where they are not."""
        handler, agent = self._handler, self._job.agent_id
        name = handler.fills or handler.feeds
        if name is None:
            return None
        if handler.feeds == "child_accounts" and await directory.members(keys.agents, agent):
            log.info("an agent of the first generation: its accounts join no second-generation list", agent=agent)
            return None
        adds = handler.feeds is not None
        return partial(AccountList, directory, getattr(keys, name), adds=adds, may_be_empty=handler.may_be_empty)

    async def _finish(self, states: Sequence[str], error: ArkError | None, seconds: float, next_jobs: NextJobs) -> Run:
        """The result, counted from the units in the ledger, and with it what is to follow."""
        figures = await self._call(self._ledger.figures, self._run.run_id)
        if figures.open and error is None and set(OPEN) <= set(states):
            error = InternalError(f"{figures.open} units are open although the run has ended: a bug of Ark")
        outcomes = self._pipeline.outcomes if self._pipeline else None
        status, exit_code = conclude(figures, error, list(outcomes.failures.values()) if outcomes else [])
        return await self._call(
            self._ledger.finish,
            self._run.run_id,
            status,
            exit_code,
            seconds,
            outcomes.meter.refused if outcomes else 0,
            next_jobs(self._children) if status == "done" else (),
            str(error or ""),
        )

    def _listen(self) -> None:
        """Signals and the deadline stop the run; a second signal ends the process at once."""
        loop = asyncio.get_running_loop()

        def on_signal(number: int) -> None:
            loop.remove_signal_handler(number)
            log.warning("stopping after what is under way; once more to end at once", signal=number)
            self.stop(StoppedError(number))

        for number in SIGNALS:
            loop.add_signal_handler(number, on_signal, number)
        deadline = self._settings.run.deadline
        if deadline:
            passed = LaterError(f"run.deadline of {deadline:g} s has passed")
            self._alarm = loop.call_later(deadline, self.stop, passed)

    def _deafen(self) -> None:
        """Give the signals back: uvloop leaves its handlers in place when it is closed."""
        for number in SIGNALS:
            asyncio.get_running_loop().remove_signal_handler(number)
        if self._alarm is not None:
            self._alarm.cancel()


def conclude(figures: Figures, error: ArkError | None, failures: Sequence[Failures]) -> tuple[str, int]:
    """A run's status and exit code: done only if every planned unit is verified or skipped (with its reason)."""
    if isinstance(error, LaterError | StoppedError) and (figures.open or not figures.planned):
        return "stopped", error.exit_code
    if error is not None and not isinstance(error, LaterError | StoppedError):
        return "failed", error.exit_code
    if not (figures.failed or figures.open):
        return "done", 0
    refused = failures and all(failure.token for failure in failures)
    return "partial" if figures.verified else "failed", TokenError.exit_code if refused else 3
