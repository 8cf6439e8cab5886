"""`ark plan`: what a job, or all jobs of a tenant, will take, from Redis and the ledger; calls no medium."""

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

import msgspec

from ark.errors import EmptyListError
from ark.job import CHILD, PARENT, Job, from_flags
from ark.ledger import Run
from ark.ledger.history import History, open_history
from ark.settings import Settings
from handlers.account_lists import AccountLists
from handlers.agents import Agent, Told, agents_of, applies, only
from handlers.allowances import Allowances
from handlers.api import ApiHandler
from handlers.forecast import Allowance, Forecast, Past, forecast, least_calls, past, predicted_calls
from handlers.jobs import load_jobs
from handlers.registry import find, make, names

LAST = 5
"""Runs of a job that are shown beside its plan."""

Clock = Callable[[], dt.datetime]


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What there is already of a job's date: the newest run that is done, else the newest one; `none`: no run."""

    status: str
    run_id: str = ""
    verified: int = 0
    failed: int = 0
    skipped: int = 0
    planned: int = 0
    provisional: bool = False


class LastRun(msgspec.Struct, frozen=True, kw_only=True):
    """One run that is over, beside the plan."""

    run_id: str
    date: dt.date
    status: str
    units: int
    rows: int
    requests: int
    seconds: float
    requests_per_unit: float


class JobPlan(msgspec.Struct, frozen=True, kw_only=True):
    """One interface for one agent."""

    interface: str
    medium: str
    tenant: str
    agent: str
    date: dt.date
    table: str
    accounts: int | None
    """None: there is no list yet, and no run says how many there were. An agent's own unit counts as one."""
    accounts_from: str
    least_calls: int | None
    """With one page for each unit."""
    seen: Past | None
    allowance: Allowance
    forecast: Forecast | None
    standing: Standing
    on_demand: str
    """Why nothing starts it; empty: the scheduler does, or another run."""
    last: list[LastRun]


class ScopePlan(msgspec.Struct, frozen=True, kw_only=True):
    """All of a plan's jobs whose calls the medium counts together: those of one path, of all agents."""

    medium: str
    path: str
    interfaces: list[str]
    jobs: int
    done: int
    unknown: int
    """Jobs of which nobody knows how many accounts they have; they are not in the figures."""
    accounts: int
    allowance: Allowance
    forecast: Forecast


class Total(msgspec.Struct, frozen=True, kw_only=True):
    """What is to do in several scopes together; the time is of those whose pace is known."""

    on_demand: bool
    """Of the jobs that nothing starts, or of the others."""
    jobs: int
    left: int
    """Jobs that are not done; the calls and the time are theirs."""
    calls: int
    scopes: int
    timed: int
    """Scopes whose pace is known."""
    one_after_the_other: float
    """Seconds."""
    all_at_once: float
    finish: dt.datetime | None
    """All at once."""


class FullPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Every interface for every agent of a tenant."""

    tenant: str
    date: dt.date
    jobs: list[JobPlan]
    scopes: list[ScopePlan]
    totals: list[Total]


class Planner:
    """Plans the jobs of one command."""

    def __init__(self, settings: Settings, lists: AccountLists, history: History, clock: Clock) -> None:
        self._settings, self._lists, self._history, self._clock = settings, lists, history, clock
        self._jobs = load_jobs(names())
        self._allowances = Allowances(lists.directory, lambda interface: self._jobs.day_share(interface, settings))
        self._runs: dict[tuple[str, str, str], list[Run]] = {}

    async def job(self, interface: str, job: Job, of_day: Sequence[Run]) -> JobPlan:
        """One job's plan; raises EmptyListError where there is nothing to do."""
        handler = make(interface, self._settings)
        members = await self._lists.of(handler, job)
        return await self._plan(handler, job, members.size, "", of_day)

    async def job_of_list(self, interface: str, job: Job, of_day: Sequence[Run]) -> JobPlan:
        """The same; where there is no list yet, with as many accounts as the last run had."""
        try:
            return await self.job(interface, job, of_day)
        except EmptyListError as empty:
            handler = make(interface, self._settings)
            last = next((run for run in self._last(interface, job) if _works_on_all(run)), None)
            accounts = last.planned // len(list(handler.variant_values())) if last else None
            whence = f"as in {last.run_id}; " if last else ""
            return await self._plan(handler, job, accounts, f"{whence}{empty}", of_day)

    def scopes(self, jobs: Sequence[JobPlan]) -> list[ScopePlan]:
        """The totals of jobs that share a quota."""
        shared = defaultdict[tuple[str, str], list[JobPlan]](list)
        for each in jobs:
            shared[find(each.interface).section, find(each.interface).path].append(each)
        return [_together(plans, self._clock()) for plans in shared.values()]

    def total(self, jobs: Sequence[JobPlan], *, on_demand: bool) -> Total:
        """What is still to do of those jobs that nothing starts (`on_demand`), or of the others."""
        whole = [each for each in jobs if bool(each.on_demand) == on_demand]
        left = [each for each in whole if each.standing.status != "done"]
        scopes = self.scopes(left)
        seconds = [each.forecast.seconds for each in scopes if each.forecast.seconds is not None]
        return Total(
            on_demand=on_demand,
            jobs=len(whole),
            left=len(left),
            calls=sum(each.forecast.calls for each in scopes),
            scopes=len(scopes),
            timed=len(seconds),
            one_after_the_other=sum(seconds),
            all_at_once=max(seconds, default=0.0),
            finish=max((each.forecast.finish for each in scopes if each.forecast.finish), default=None),
        )

    async def _plan(
        self, handler: ApiHandler, job: Job, accounts: int | None, whence: str, of_day: Sequence[Run]
    ) -> JobPlan:
        interface = handler.name()
        last = self._last(interface, job)
        allowance = await self._allowances.of(handler, job)
        least = None if accounts is None else least_calls(handler, accounts)
        seen = self._past(handler, job, least or 0)
        return JobPlan(
            interface=interface,
            medium=handler.medium,
            tenant=job.tenant_alias,
            agent=job.agent_id,
            date=job.data_date,
            table=handler.table,
            accounts=accounts,
            accounts_from=whence or _whence(handler, job),
            least_calls=least,
            seen=seen,
            allowance=allowance,
            forecast=None if least is None else _foretold(least, seen, allowance, self._clock()),
            standing=standing(interface, job.agent_id, of_day),
            on_demand=self._jobs.alone.get(interface, ""),
            last=[_shown(run) for run in last[:LAST]],
        )

    def _past(self, handler: ApiHandler, job: Job, least: int) -> Past | None:
        """What the ledger has seen of this agent's runs, else of the tenant's, else of anybody's."""
        name, tenant, agent = handler.name(), job.tenant_alias, job.agent_id
        levels = (("agent", tenant, agent), ("tenant", tenant, ""), ("interface", "", ""))
        told = (past(of, handler, self._ended(name, *whose), least) for of, *whose in levels)
        return next(filter(None, told), None)

    def _last(self, interface: str, job: Job) -> list[Run]:
        return self._ended(interface, job.tenant_alias, job.agent_id)

    def _ended(self, interface: str, tenant: str, agent: str) -> list[Run]:
        key = (interface, tenant, agent)
        if key not in self._runs:
            self._runs[key] = self._history.last(*key)
        return self._runs[key]


async def plan(settings: Settings, interface: str, job: Job, told: Told, clock: Clock) -> JobPlan:
    """The plan of one job; raises as a run of it would before its first call."""
    async with AccountLists(settings, told) as lists:
        with open_history(settings) as history:
            of_day = history.of_day([interface], job.tenant_alias, job.data_date)
            return await Planner(settings, lists, history, clock).job(interface, job, of_day)


async def plan_full(
    settings: Settings,
    tenant: str,
    day: dt.date,
    interfaces: Sequence[str],
    told: Told,
    clock: Clock,
    agent: str | None = None,
) -> FullPlan:
    """The plans of `interfaces` for all agents of the tenant, or for one; raises EmptyListError where there is none."""
    jobs: list[JobPlan] = []
    async with AccountLists(settings, told) as lists:
        sections = list(dict.fromkeys(find(name).section for name in interfaces))
        agents = await agents_of(await lists.directory(), sections, tenant, day, told)
        if agent is not None:
            agents = only(agents, agent, tenant)
        with open_history(settings) as history:
            of_day = history.of_day(interfaces, tenant, day)
            planner = Planner(settings, lists, history, clock)
            for name in interfaces:
                its = [_job(name, tenant, day, each) for each in agents if applies(find(name), each)]
                jobs += [await planner.job_of_list(name, each, of_day) for each in its]
            totals = [planner.total(jobs, on_demand=on_demand) for on_demand in (False, True)]
            return FullPlan(tenant=tenant, date=day, jobs=jobs, scopes=planner.scopes(jobs), totals=totals)


def standing(interface: str, agent: str, of_day: Sequence[Run]) -> Standing:
    """What there is of a job's date among that date's runs, newest first; runs of some accounts only do not count."""
    runs = [run for run in of_day if (run.interface, run.agent_id) == (interface, agent) and _works_on_all(run)]
    if not runs:
        return Standing(status="none")
    run = next((run for run in runs if run.status == "done"), runs[0])
    return Standing(
        status=run.status,
        run_id=run.run_id,
        verified=run.verified,
        failed=run.failed,
        skipped=run.skipped,
        planned=run.planned,
        provisional=run.provisional,
    )


def _works_on_all(run: Run) -> bool:
    return not msgspec.json.decode(run.job).get("account_list")


def _foretold(least: int, seen: Past | None, allowance: Allowance, now: dt.datetime) -> Forecast:
    return forecast(predicted_calls(least, seen), allowance, seen.pace if seen else 0.0, now)


def _together(plans: Sequence[JobPlan], now: dt.datetime) -> ScopePlan:
    """They go on one after the other, at the best pace that was seen."""
    known = [each for each in plans if each.forecast is not None]
    calls = sum(each.forecast.calls for each in known if each.forecast)
    pace = max((each.seen.pace for each in known if each.seen), default=0.0)
    first = plans[0]
    return ScopePlan(
        medium=first.medium,
        path=find(first.interface).path,
        interfaces=list(dict.fromkeys(each.interface for each in plans)),
        jobs=len(plans),
        done=sum(each.standing.status == "done" for each in plans),
        unknown=len(plans) - len(known),
        accounts=sum(each.accounts or 0 for each in known),
        allowance=first.allowance,
        forecast=forecast(calls, first.allowance, pace, now),
    )


def _whence(handler: ApiHandler, job: Job) -> str:
    if handler.by == "agent":
        return "the agent itself"
    return "account_list" if job.account_list else "Redis"


def _shown(run: Run) -> LastRun:
    units = run.planned - run.open
    return LastRun(
        run_id=run.run_id,
        date=run.data_date,
        status=run.status,
        units=units,
        rows=run.rows,
        requests=run.requests,
        seconds=round(run.seconds, 2),
        requests_per_unit=round(run.requests / units, 4) if units else 0.0,
    )


def _job(interface: str, tenant: str, day: dt.date, agent: Agent) -> Job:
    job, _ = from_flags(tenant=tenant, date=day.isoformat(), agent=agent.id, interface=interface, today=day)
    return msgspec.structs.replace(job, agent_level=CHILD if agent.child else PARENT)


def names_of(interfaces: Sequence[str], media: Sequence[str]) -> Iterator[str]:
    """Those of these media."""
    return (name for name in interfaces if find(name).medium in media)
