"""One run of one interface, from its first line in the ledger to its last.

A first run and a rerun are one path: the plan is made unless it is whole already, then the open units are streamed
from the ledger, and the result is counted there.
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from functools import partial

import msgspec
import structlog

from ark.accounts.account_list import AccountList
from ark.accounts.directory import Directory, connect
from ark.accounts.keys import Keys
from ark.accounts.tokens import Tokens
from ark.circuit import Circuit
from ark.errors import ArkError, InternalError, LaterError, StoppedError, TokenError
from ark.governor.fleet import Who
from ark.http import HttpClient, fitted
from ark.job import Job
from ark.ledger import OPEN, Figures, LeaseLostError, Ledger, Run, Trigger
from ark.settings import Settings
from ark.stores import open_sink
from handlers import progress
from handlers.api import ApiHandler
from handlers.day import DayWatch
from handlers.fence import Fence
from handlers.fetcher import Fetcher
from handlers.gates import Gates
from handlers.observers import Observers
from handlers.outcomes import Failures
from handlers.pipeline import Pipeline
from handlers.plan import LedgerThread, Plan
from handlers.queue import TaskQueue
from handlers.records import RecordReader
from handlers.refresh import refresher
from handlers.settler import Settler
from handlers.sharing import Sharing
from handlers.stopping import OBSERVERS_UNTIL, WORK_UNTIL, Stop, watch

log = structlog.get_logger(__name__)

NextJobs = Callable[[str, Sequence[str]], Sequence[Trigger]]
"""(a run's status, the second-generation agents that it has listed) -> the jobs that follow it."""


class Runner:
    """Executes one run that the ledger has begun or reopened."""

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        run: Run,
        job: Job,
        handler: ApiHandler,
        *,
        day_share: int = 100,
        read_back: bool = False,
    ) -> None:
        self._settings, self._ledger, self._run, self._job, self._handler = settings, ledger, run, job, handler
        self._day_share, self._read_back = day_share, read_back
        self._call = LedgerThread()
        self._figures = Figures()
        """As the ledger told them last."""
        self._fence = Fence(ledger, run.run_id, settings.run.lease, self._call)
        self._pipeline: Pipeline | None = None
        self._work: asyncio.Task[None] | None = None
        self._stopped_by: ArkError | None = None
        self._hurried: Stop | None = None
        self._cut = False
        """The work was broken off in the middle, not only held back from new units."""
        self._children: list[str] = []
        """The second-generation agents of this one, after they were listed."""

    async def execute(self, states: Sequence[str], next_jobs: NextJobs) -> Run:
        """Do the units in `states`; the intents to start `next_jobs` are kept with the result if all is done."""
        observers = Observers(self._settings, self._handler, self._run, self._job)
        started = time.monotonic()
        loop = asyncio.get_running_loop()

        def tell(stop: Stop) -> None:
            loop.call_soon_threadsafe(self.hurry, stop)

        with watch.telling(tell), self._deadline():
            try:
                observers.started(self._run)
                error = await self._guarded(states, observers)
                run = await self._concluded(states, error, time.monotonic() - started, next_jobs)
                observers.ended(run, error, self._pipeline.outcomes.failures if self._pipeline else {})
            finally:
                self._call.close()
                await observers.close(self._hurried.left(OBSERVERS_UNTIL) if self._hurried else None)
        return run

    def stop(self, reason: ArkError) -> None:
        """End the run cleanly: what is fetched is stored, the rest stays planned."""
        if self._stopped_by is None or isinstance(reason, StoppedError):
            self._stopped_by = reason
        if self._pipeline is not None:
            self._pipeline.stop()
        elif self._work is not None:
            self._work.cancel()

    def hurry(self, stop: Stop) -> None:
        """The same, in the time that is left after a signal or the deadline."""
        self.stop(stop.reason)
        if self._hurried is None:
            self._hurried = stop
            asyncio.get_running_loop().call_later(stop.left(WORK_UNTIL), self._break_off)
        if self._pipeline is not None:
            self._pipeline.hurry(self._hurried)

    def _break_off(self) -> None:
        if self._work is not None:
            self._work.cancel()

    @contextmanager
    def _deadline(self) -> Iterator[None]:
        """Past run.deadline the run has as much time to end as after a signal."""
        seconds = self._settings.run.deadline
        if not seconds:
            yield
            return

        def passed() -> None:
            stop = Stop(LaterError(f"run.deadline of {seconds:g} s has passed"), time.monotonic())
            watch.press(stop)
            self.hurry(stop)

        alarm = asyncio.get_running_loop().call_later(seconds, passed)
        try:
            yield
        finally:
            alarm.cancel()
            watch.relieve()

    async def _guarded(self, states: Sequence[str], observers: Observers) -> ArkError | None:
        """Work; what ended the work early, if anything did."""
        keeping = asyncio.create_task(self._fence.keep(self.stop))
        self._work = asyncio.create_task(self._do(states, observers))
        if self._stopped_by is not None:
            self._work.cancel()
        try:
            await self._work
        except ArkError as error:
            return error
        except asyncio.CancelledError:
            if self._stopped_by is None:
                raise
            self._cut = True
        except Exception as error:  # noqa: BLE001 - a bug ends the run, and the ledger says so
            observers.crashed(error)
            return InternalError(f"a bug of Ark: {type(error).__name__}: {error}")
        finally:
            keeping.cancel()
        return self._stopped_by

    async def _do(self, states: Sequence[str], observers: Observers) -> None:
        """Everything between the run's first and last line; what must fail does so before the first call."""
        handler, job, settings, version = self._handler, self._job, fitted(self._settings), self._run.version
        medium = handler.settings
        keys = Keys.of(handler.section, job.tenant_alias, job.data_date, job.agent_id)
        plan = Plan(self._ledger, self._call, self._run.run_id, handler, job)
        async with AsyncExitStack() as stack:
            sink = open_sink(
                job.output, settings, tenant=job.tenant_alias, day=job.data_date, read_back=self._read_back
            )
            stack.push_async_callback(asyncio.to_thread, sink.close)
            await asyncio.to_thread(sink.check, handler.table)
            directory = await connect(settings)
            stack.push_async_callback(directory.aclose)
            if self._run.status == "planning":
                await plan.make(directory, keys)
            http = await stack.enter_async_context(HttpClient(settings.http))
            refresh = refresher(settings, handler.section, job.tenant_alias, directory, keys, http)
            circuit = Circuit(settings.http.concurrency, settings.http.patience)
            queue = TaskQueue(plan.tasks(states), circuit)
            sharing = Sharing(directory, self._who(), settings.http.concurrency)
            stack.push_async_callback(sharing.aclose)
            gates = Gates(sharing.open, settings.http.concurrency)
            gate = await gates.of(handler)
            lists = await self._lists(directory, keys)
            settler = Settler(partial(self._call, self._ledger.settle, self._run.run_id))
            pipeline = Pipeline(handler, settings, sink, version, settler, queue, lists, self._fence)
            self._pipeline = pipeline
            figures = await self._counted()
            meter, planned = pipeline.outcomes.meter, figures.open + figures.failed
            day = DayWatch(
                gate,
                self._day_share,
                planned,
                ended=meter.called,
                tell=partial(self._fit, observers, planned),
                clock=asyncio.get_running_loop().time,
            )
            fetcher = Fetcher(
                handler,
                medium.url,
                settings.http.attempts,
                queue=queue,
                http=http,
                circuit=circuit,
                gates=gates,
                tokens=Tokens(directory, keys, refresh=refresh),
                reader=RecordReader(type(handler), job.tenant_alias, job.data_date, version),
                outcomes=pipeline.outcomes,
                take=pipeline.take,
                heard=day.heard,
                stop=self.stop,
            )
            watch.note(msgspec.structs.replace(self._run, **figures._asdict()))
            async with progress.shown(meter, planned, gate.state):
                await pipeline.run(fetcher)
            if handler.fills == "child_agents":
                self._children = await directory.members(keys.child_agents, job.agent_id)
                await directory.add_agents(keys.all_agents, self._children)

    def _who(self) -> Who:
        """Whose calls these are, for those who look at the quota."""
        run, job = self._run, self._job
        return Who(
            run.run_id,
            run.host,
            run.pid,
            run.interface,
            job.tenant_alias,
            job.agent_id,
            job.cur_job_name or run.interface,
        )

    def _fit(self, observers: Observers, planned: int, fit: int) -> None:
        """So many of the planned units fit into the day."""
        what = "accounts" if self._handler.by == "account" and not self._handler.variants else "units"
        of_them = f"about {fit:,} of {planned:,} {what}" if fit < planned else f"now all {planned:,} {what}"
        observers.told(f"{of_them} fit into the day's quota")

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

    async def _concluded(
        self, states: Sequence[str], error: ArkError | None, seconds: float, next_jobs: NextJobs
    ) -> Run:
        """The run with its result; where the ledger does not take it, as the ledger told of it last."""
        try:
            return await self._finish(states, error, seconds, next_jobs)
        except ArkError as refused:
            status = "stopped" if isinstance(refused, LeaseLostError) else "failed"
            told = {"status": status, "exit_code": refused.exit_code, "error": str(refused), "seconds": seconds}
        return msgspec.structs.replace(self._run, **self._figures._asdict(), **told)

    async def _counted(self) -> Figures:
        self._figures = await self._call(self._ledger.figures, self._run.run_id)
        return self._figures

    async def _finish(self, states: Sequence[str], error: ArkError | None, seconds: float, next_jobs: NextJobs) -> Run:
        """The result, counted from the units in the ledger, and with it what is to follow."""
        figures = await self._counted()
        if figures.open and error is None and set(OPEN) <= set(states):
            error = InternalError(f"{figures.open} units are open although the run has ended: a bug of Ark")
        outcomes = self._pipeline.outcomes if self._pipeline else None
        failures = list(outcomes.failures.values()) if outcomes else []
        status, exit_code = conclude(figures, error, failures, cut=self._cut)
        return await self._call(
            self._ledger.finish,
            self._run.run_id,
            status,
            exit_code,
            seconds,
            outcomes.meter.refused if outcomes else 0,
            next_jobs(status, self._children),
            str(error or ""),
        )


def conclude(
    figures: Figures, error: ArkError | None, failures: Sequence[Failures], *, cut: bool = False
) -> tuple[str, int]:
    """A run's status and exit code: done only if every planned unit is verified or skipped (with its reason).

    One that was `cut` off in the middle is not done even then: it may have had more to do than its units.
    """
    if isinstance(error, LaterError | StoppedError) and (figures.open or cut or not figures.planned):
        return "stopped", error.exit_code
    if error is not None and not isinstance(error, LaterError | StoppedError):
        return "failed", error.exit_code
    if not (figures.failed or figures.open):
        return "done", 0
    refused = failures and all(failure.token for failure in failures)
    return "partial" if figures.verified else "failed", TokenError.exit_code if refused else 3
