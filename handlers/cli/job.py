"""The job that the words of a command line mean: an encoded argument, flags, or both."""

import datetime as dt
from collections.abc import Callable
from typing import Any, NamedTuple, TypedDict, cast

import click

from ark.clock import today
from ark.errors import UsageError
from ark.job import Job, decode, differences, encode, from_flags, override
from ark.job.wire import checked
from ark.settings import Settings
from handlers.cli.telling import say


class Flags(TypedDict):
    """What an engineer types instead of an argument, or beside one."""

    tenant: str | None
    date: str | None
    agent: str | None
    accounts: tuple[str, ...]
    redis_key: str | None
    output: str | None


class Words(NamedTuple):
    """What is typed to name a job: an interface, perhaps its argument, perhaps the two values of a scheduler."""

    interface: str
    argument: str | None
    shard: tuple[str, ...]


def job_words(command: Callable[..., Any]) -> Callable[..., Any]:
    """The arguments and flags that name a job; they arrive as the fields of `Words` and `Flags`, and `everything`."""
    everything = "All accounts of the agent, where neither -a nor -k is given."
    for word in (
        click.option("--all", "everything", is_flag=True, help=everything),
        click.option("-o", "--output", type=click.Choice(["HBASE", "FILE", "NONE"]), help="Where rows go."),
        click.option("-k", "--key", "redis_key", metavar="REDIS_KEY", help="Redis key that holds the accounts."),
        click.option(
            "-a", "--account", "accounts", metavar="ACCOUNT", multiple=True, help="Only this account; repeatable."
        ),
        click.option("-g", "--agent", metavar="AGENT", help="Agent (代理商) whose token is used."),
        click.option("-d", "--date", metavar="DATE", help="Date of the data, 2020-05-30 or 20200530."),
        click.option("-t", "--tenant", metavar="TENANT", help="Tenant, e.g. T100117."),
        click.argument("shard", required=False, metavar="[SHARD TOTAL]]", nargs=-1),
        click.argument("argument", required=False, metavar="[ENCODED"),
        click.argument("interface"),
    ):
        command = word(command)
    return command


def named_job(settings: Settings, words: Words, flags: Flags, *, everything: bool) -> tuple[str, Job]:
    """The interface and its job; tells what may surprise. `everything`: all accounts, where none are named.

    Raises UsageError that names the key or flag and how to write it.
    """
    from ark.accounts.keys import Keys
    from handlers.jobs import load_jobs
    from handlers.lists import check_level, disagreement
    from handlers.registry import find, names

    name = load_jobs(names()).resolve(words.interface)
    argument, shard = words.argument, words.shard
    if argument is not None and argument.isdigit() and len(shard) == 1:  # XXL-JOB's two values behind flags
        shard = (argument, *shard)
        argument = None
    job = _job(settings, name, argument, flags)
    handler = find(name)
    _check(job, handler.medium, handler.by, everything=everything)
    keys = Keys.of(handler.section, job.tenant_alias, job.data_date, job.agent_id)
    check_level(job, keys)
    differs = disagreement(job, keys)
    if differs:
        say(differs)
    if shard:
        say(f"shard {' of '.join(shard)}: not used, this run does the whole job")
    return name, job


def tenant_of(settings: Settings, text: str | None) -> str:
    """The tenant that -t names, else run.tenant; UsageError where there is none."""
    tenant = text or settings.run.tenant
    if not tenant:
        raise UsageError("tenant_alias is missing: give -t T100117, or set run.tenant (ARK_RUN_TENANT)")
    return str(checked("tenant_alias", tenant))


def day_of(text: str | None) -> dt.date:
    """The date that -d names, else today's, which is told; UsageError for one to come."""
    if text is None:
        say(f"date {today()}: today in Asia/Shanghai")
        return today()
    day = cast("dt.date", checked("data_date", text))
    if day > today():
        raise UsageError(f"-d {day} is in the future: it is {today()} in Asia/Shanghai; give a date until then")
    return day


def _job(settings: Settings, interface: str, argument: str | None, flags: Flags) -> Job:
    if argument is not None:
        job = override(decode(argument, today()), today=today(), **flags)
        notes = differences(job)
    else:
        job, notes = from_flags(interface=interface, default_tenant=settings.run.tenant, today=today(), **flags)
    for note in notes:
        say(note)
    encode(job)  # what cannot be handed to a next job is refused before anything is called
    return job


def _check(job: Job, medium: str, by: str, *, everything: bool) -> None:
    if job.media_name and job.media_name != medium:
        raise UsageError(f"media_name is {job.media_name!r}, but the interface is one of {medium}: correct one of them")
    if by == "account" and not (job.redis_accounts_key or job.account_list or everything):
        raise UsageError(
            "redis_accounts_key and account_list are both empty: name the accounts (-a), their Redis key (-k),"
            " or say --all for all of the agent's accounts"
        )
