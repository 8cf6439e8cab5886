"""`ark plan`: how long a job will take, and how much of the quota, before a call is made."""

import asyncio
import datetime as dt
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click
import msgspec

from ark.clock import now, today
from ark.errors import UsageError
from ark.settings import Settings
from handlers.cli.job import Flags, Words, day_of, job_words, named_job, tenant_of
from handlers.cli.telling import answer, say

if TYPE_CHECKING:
    from handlers.forecast import Allowance, Forecast, Past
    from handlers.outlook import FullPlan, JobPlan, ScopePlan, Standing, Total

FULL = "full"
UNKNOWN = "unknown"
JOBS = ("interface", "agent", "accounts", "calls", "minute", "day", "takes", "there is", "run")
SCOPES = ("all of", "jobs", "accounts", "calls", "minute", "day", "takes", "finish", "today")
HOUR, MINUTE = 3600, 60


@click.command()
@job_words
@click.option("--media", metavar="MEDIA", help="With full: only these media: gdt,jrtt")
@click.option("--only", metavar="JOB", multiple=True, help="With full: only this interface or job; repeatable.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@click.pass_obj
def plan(
    settings: Settings,
    interface: str,
    argument: str | None,
    shard: tuple[str, ...],
    tenant: str | None,
    date: str | None,
    agent: str | None,
    accounts: tuple[str, ...],
    redis_key: str | None,
    output: str | None,
    media: str | None,
    only: tuple[str, ...],
    *,
    everything: bool,  # noqa: ARG001 - as `ark run` has it; a plan of an agent is one of all its accounts anyway
    as_json: bool,
) -> None:
    """Show what INTERFACE will take, named as for `ark run`: accounts, calls, share of the quota, when it is done.

    With `full` in its place: every interface for every agent that Redis knows of the tenant, and what there is of the
    date already. What the ledger has seen of the same job before is taken into account. No medium is called.

    \b
    ark plan gdt.daily_report_ad -t T100117 -d 2020-05-30 -g 1050262
    ark plan full -t T100117 -d 2020-05-30 --media gdt,jrtt
    ark plan full -t T100117 -d 2020-05-30 --only dmp_task_gdt_api_3 --json
    """
    flags = Flags(tenant=tenant, date=date, agent=agent, accounts=accounts, redis_key=redis_key, output=output)
    words = Words(interface, argument, shard)
    if interface == FULL:
        full = _full(settings, words, flags, media, only)
        answer(msgspec.json.encode(full)) if as_json else _show_full(full)
        return
    for flag, given in (("--media", media), ("--only", only)):
        if given:
            raise UsageError(f"{flag} goes with `ark plan full`: leave it out for one interface")
    from handlers import outlook

    name, job = named_job(settings, words, flags, everything=True)
    planned = asyncio.run(outlook.plan(settings, name, job, _tell_unusable, now))
    if as_json:
        answer(msgspec.json.encode(planned))
        return
    for what, text in _told(planned):
        answer(f"{what:<10} {text}".rstrip())


def _full(settings: Settings, words: Words, flags: Flags, media: str | None, only: Sequence[str]) -> "FullPlan":
    from handlers import outlook
    from handlers.jobs import load_jobs
    from handlers.registry import names

    if words.argument is not None or flags["accounts"] or flags["redis_key"]:
        raise UsageError("`ark plan full` takes all accounts of all agents: leave the argument, -a and -k out")
    tenant, day = tenant_of(settings, flags["tenant"]), day_of(flags["date"])
    jobs = load_jobs(names())
    wanted = [jobs.resolve(each) for each in only] or names()
    chosen = list(outlook.names_of(list(dict.fromkeys(wanted)), _media(media)))
    if not chosen:
        raise UsageError(f"--only {' '.join(only)} is not of --media {media}: leave one of them out")
    return asyncio.run(outlook.plan_full(settings, tenant, day, chosen, _tell_unusable, now, agent=flags["agent"]))


def _media(text: str | None) -> tuple[str, ...]:
    from handlers.registry import MEDIA

    media = MEDIA if text is None else tuple(dict.fromkeys(text.split(",")))
    for medium in media:
        if medium not in MEDIA:
            raise UsageError(f"--media names {medium!r}: there are {', '.join(MEDIA)}")
    return media


def _tell_unusable(text: str) -> None:
    say(f"unusable: {text}")


def _told(planned: "JobPlan") -> Iterator[tuple[str, str]]:
    """The lines of one job's plan."""
    yield "interface", planned.interface
    yield "tenant", planned.tenant
    yield "agent", planned.agent
    yield "date", f"{planned.date}"
    yield "table", planned.table
    yield "accounts", f"{_number(planned.accounts)} ({planned.accounts_from})"
    foretold = planned.forecast
    assert foretold is not None  # a list that is absent or empty has been told as an error
    assert planned.accounts is not None
    yield "calls", f"{foretold.calls:,}: {_counted(planned.least_calls or 0, planned.seen)}"
    yield "minute", _of_minute(foretold, planned.allowance)
    yield "day", _of_day(foretold, planned.allowance)
    yield "takes", _takes(foretold, planned.allowance, planned.seen)
    yield "finish", _clock(foretold.finish)
    yield "today", _today(foretold, planned.accounts)
    yield "there is", _there_is(planned.standing)
    for run in planned.last:
        words = f"{run.run_id} {run.date} {run.status}: {run.units:,} units, {run.rows:,} rows, {run.seconds:.1f} s"
        yield "last", f"{words}, {run.requests_per_unit:.2f} requests per unit"


def _counted(least: int, seen: "Past | None") -> str:
    if seen is None:
        return f"{least:,} with one page each; the ledger has seen none"
    whose = f"the last {seen.runs} runs" if seen.runs > 1 else "the last run"
    return f"{least:,} with one page each, x {seen.requests_per_unit:.2f} as in {whose} of this {seen.of}"


def _of_minute(foretold: "Forecast", allowance: "Allowance") -> str:
    if foretold.minute_share is None:
        return allowance.source if allowance.source.startswith(UNKNOWN) else f"{UNKNOWN}: {allowance.source}"
    return (
        f"{foretold.minute_share:.1f}% of one minute's quota of {_number(allowance.minute)} calls ({allowance.source})"
    )


def _of_day(foretold: "Forecast", allowance: "Allowance") -> str:
    left = "" if allowance.day_percent is None else f"{allowance.day_percent:g}% of the day is left"
    if foretold.day_share is None:
        return f"{UNKNOWN}{left and '; '}{left}"
    return f"{foretold.day_share:.1f}% of one day's quota of {_number(allowance.day)} calls{left and '; '}{left}"


def _takes(foretold: "Forecast", allowance: "Allowance", seen: "Past | None") -> str:
    if foretold.seconds is None or foretold.pace is None:
        return f"{UNKNOWN}: no quota is known, and no run has shown a pace"
    by_quota = allowance.pace is not None and foretold.pace == allowance.pace
    why = "the quota's pace" if by_quota else f"as the last runs of this {seen.of if seen else 'agent'}"
    return f"{_duration(foretold.seconds)}, at {foretold.pace:.1f} calls/s, {why}"


def _clock(moment: dt.datetime | None) -> str:
    if moment is None:
        return UNKNOWN
    return f"{'' if moment.date() == today() else f'{moment:%Y-%m-%d} '}{moment:%H:%M:%S} (Shanghai)"


def _today(foretold: "Forecast", accounts: int) -> str:
    fitting = foretold.accounts_today(accounts)
    if fitting is None:
        return f"{UNKNOWN}: how much of the day's quota is left"
    if fitting >= accounts:
        return f"all {accounts:,} accounts fit"
    return f"{fitting:,} of {accounts:,} accounts fit today; the rest after 00:00"


def _there_is(standing: "Standing") -> str:
    if standing.status == "none":
        return "nothing of this date yet"
    counts = f"verified {standing.verified} + failed {standing.failed} + skipped {standing.skipped}"
    provisional = "; provisional: run it again" if standing.provisional else ""
    rerun = "" if standing.status == "done" else f"; take up: ark rerun {standing.run_id}"
    return f"{standing.run_id} {standing.status}: planned {standing.planned} = {counts}{provisional}{rerun}"


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "?"
    hours, rest = divmod(round(seconds), HOUR)
    if hours:
        return f"{hours} h {rest // MINUTE:02} min"
    minutes, rest = divmod(rest, MINUTE)
    return f"{minutes} min {rest:02} s" if minutes else f"{seconds:.1f} s"


def _number(number: float | None) -> str:
    return "?" if number is None else f"{number:,.0f}"


def _percent(share: float | None) -> str:
    return "?" if share is None else f"{share:.1f}%"


def _show_full(full: "FullPlan") -> None:
    """A line per job, then one per scope, then what all of it takes."""
    jobs = [_job_cells(each) for each in full.jobs]
    scopes = [_scope_cells(each) for each in full.scopes]
    if sys.stdout.isatty():
        _print_table(JOBS, jobs)
        _print_table(SCOPES, scopes)
    else:
        for cells in (*jobs, *scopes):
            answer("\t".join(cells))
    for line in _closing(full):
        say(line)


def _job_cells(job: "JobPlan") -> list[str]:
    foretold, there = job.forecast, job.standing
    status = there.status if there.status in {"none", "done"} else f"{there.status} {there.verified}/{there.planned}"
    figures = ["?"] * 4
    if foretold is not None:
        shares = (_percent(foretold.minute_share), _percent(foretold.day_share))
        figures = [f"{foretold.calls:,}", *shares, _duration(foretold.seconds)]
    return [job.interface, job.agent, _number(job.accounts), *figures, status, there.run_id or "-"]


def _scope_cells(scope: "ScopePlan") -> list[str]:
    foretold = scope.forecast
    fitting = foretold.accounts_today(scope.accounts)
    return [
        f"{_name(scope)}, all",
        f"{scope.done}/{scope.jobs} done",
        f"{scope.accounts:,}",
        f"{foretold.calls:,}",
        _percent(foretold.minute_share),
        _percent(foretold.day_share),
        _duration(foretold.seconds),
        f"{foretold.finish:%m-%d %H:%M:%S}" if foretold.finish else "?",
        "?" if fitting is None or not scope.accounts else f"{fitting:,} fit",
    ]


def _name(scope: "ScopePlan") -> str:
    """The dialect and the path, as `gdt daily_reports/get`."""
    return f"{scope.interfaces[0].rpartition('.')[0]} {scope.path}"


def _closing(full: "FullPlan") -> Iterator[str]:
    """For people: what is missing, how long all of it takes, what nobody knows."""
    for total in full.totals:
        yield from _total(total)
    for scope in full.scopes:
        if scope.forecast.calls_today is not None and scope.forecast.calls_today < scope.forecast.calls:
            yield f"{_name(scope)}: {_today(scope.forecast, scope.accounts)}"
    absent = dict.fromkeys(job.accounts_from for job in full.jobs if job.accounts is None)
    for why in absent:
        yield f"not in the figures: {why}"


def _total(total: "Total") -> Iterator[str]:
    if not total.jobs:
        return
    whose = "on demand" if total.on_demand else "of the scheduler's, and what follows them"
    done = total.jobs - total.left
    yield f"{total.jobs} jobs {whose}: {done} done, {total.left} to do with {total.calls:,} calls"
    if total.timed:
        of = (
            ""
            if total.timed == total.scopes
            else f" of the {total.timed} in {total.scopes} endpoints whose pace is known"
        )
        apart = f"one endpoint after the other {_duration(total.one_after_the_other)}"
        at_once = f"all at once {_duration(total.all_at_once)}, until {_clock(total.finish)}"
        yield f"  time{of}: {apart}; {at_once}"


def _print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(*columns, box=None, pad_edge=False)
    for cells in rows:
        table.add_row(*cells)
    console = Console()
    # a narrow terminal breaks lines; cutting them would cut the ids that are to be copied
    console.width = max(console.width, console.measure(table, options=console.options.update(max_width=1000)).maximum)
    console.print(table, markup=False)
