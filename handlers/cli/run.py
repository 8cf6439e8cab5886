"""`ark run`, `ark exec`, `ark rerun`: run an interface, and print the one line that schedulers read."""

from typing import TYPE_CHECKING, TypedDict

import click

from ark.clock import today
from ark.errors import UsageError
from ark.job import Job, decode, differences, encode, from_flags, override, split_command
from ark.settings import Settings
from handlers.cli.telling import answer, say, tell

if TYPE_CHECKING:
    from ark.ledger import Run


class Flags(TypedDict):
    """What an engineer types instead of an argument, or beside one."""

    tenant: str | None
    date: str | None
    agent: str | None
    accounts: tuple[str, ...]
    redis_key: str | None
    output: str | None


@click.command()
@click.argument("interface")
@click.argument("argument", required=False, metavar="[ENCODED")
@click.argument("shard", required=False, metavar="[SHARD TOTAL]]", nargs=-1)
@click.option("-t", "--tenant", metavar="TENANT", help="Tenant, e.g. T100117.")
@click.option("-d", "--date", metavar="DATE", help="Date of the data, 2020-05-30 or 20200530.")
@click.option("-g", "--agent", metavar="AGENT", help="Agent (代理商) whose token is used.")
@click.option("-a", "--account", "accounts", metavar="ACCOUNT", multiple=True, help="Only this account; repeatable.")
@click.option("-k", "--key", "redis_key", metavar="REDIS_KEY", help="Redis key that holds the accounts.")
@click.option("-o", "--output", type=click.Choice(["HBASE", "FILE", "NONE"]), help="Where rows go.")
@click.option("--all", "everything", is_flag=True, help="All accounts of the agent, where neither -a nor -k is given.")
@click.option("--dry-run", is_flag=True, help="Show what would be called; calls no medium.")
@click.option("--no-next", is_flag=True, help="Start no next jobs.")
@click.option("--restate", is_flag=True, help="Also each day before that the medium may still have changed.")
@click.option("--json", "as_json", is_flag=True, help="With --dry-run: one JSON document for each day.")
@click.option("--trigger-key", hidden=True, help="Set by the run that starts this one; the same key runs once.")
@click.pass_obj
def run(
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
    trigger_key: str | None,
    *,
    everything: bool,
    dry_run: bool,
    no_next: bool,
    restate: bool,
    as_json: bool,
) -> int:
    """Run INTERFACE, named as gdt.funds or by a scheduler's job name.

    \b
    ark run gdt.funds %7B'agent_id'%3A%201050262%2C%20...%7D
    ark run gdt.funds -g 1050262 -k gdt_advertiser_v1.1_T100117_20200530
    ark run gdt.advertisers -t T100117 -g 1050262 -d 2020-05-30 --dry-run
    ark run gdt.daily_report_ad -t T100117 -g 1050262 -d 2020-05-30 --all --restate
    """
    from ark.accounts.keys import Keys
    from handlers.jobs import load_jobs
    from handlers.lists import check_level, disagreement
    from handlers.registry import find, names

    name = load_jobs(names()).resolve(interface)
    flags = Flags(tenant=tenant, date=date, agent=agent, accounts=accounts, redis_key=redis_key, output=output)
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
    if dry_run:
        _show(settings, name, job, restate=restate, as_json=as_json)
        return 0
    from handlers import launch

    if restate:
        return _concluded(launch.restate(settings, name, job, tell, follow=not no_next))
    return _concluded(launch.run(settings, name, job, tell, follow=not no_next, trigger_key=trigger_key))


def _show(settings: Settings, interface: str, job: Job, *, restate: bool, as_json: bool) -> None:
    """What would be called, for each day."""
    from handlers.dry_run import dry_run
    from handlers.registry import find
    from handlers.restate import restated_jobs

    for each in restated_jobs(find(interface), job) if restate else [job]:
        dry_run(settings, interface, each, as_json=as_json)


@click.command(name="exec")
@click.argument("command")
@click.argument("shard", metavar="[SHARD TOTAL]", nargs=-1)
def exec_(command: str, shard: tuple[str, ...]) -> int:
    """Run a whole command line that comes as one string, as XXL-JOB hands it over.

    \b
    ark exec "run gdt.funds %7B'agent_id'%3A%201050262...%7D -o HBASE" 0 1
    """
    from handlers.cli.main import cli

    words = split_command(command)
    if not words or words[0] in {"exec", "simulate"}:
        raise UsageError('`ark exec` takes a command line in one string, such as "run gdt.funds ..."')
    code: int | None = cli.main([*words, *(shard if words[0] == "run" else ())], prog_name="ark", standalone_mode=False)
    return code or 0


@click.command()
@click.argument("run_id", metavar="RUN")
@click.option("--failed", is_flag=True, help="Only what failed; else also what was never begun.")
@click.option("--no-next", is_flag=True, help="Start no next jobs.")
@click.pass_obj
def rerun(settings: Settings, run_id: str, *, failed: bool, no_next: bool) -> int:
    """Take up what is open of a run; rows get the timestamps that the run had.

    \b
    ark rerun 20200530T080102-1f2e3d4c --failed
    """
    from handlers import launch

    return _concluded(launch.rerun(settings, run_id, tell, only_failed=failed, follow=not no_next))


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


def _concluded(done: "Run") -> int:
    """Print the result line, the last on stdout, and answer the exit code."""
    from ark.report import result_line

    answer(result_line(done))
    return done.exit_code or 0
