"""`ark run`, `ark exec`, `ark rerun`: run an interface, and print the one line that schedulers read."""

import threading
from functools import partial
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

import click
import msgspec

from ark.errors import UsageError
from ark.job import Job, split_command
from ark.settings import Settings
from handlers.cli.job import Flags, Words, job_words, named_job
from handlers.cli.telling import answer, say, tell

if TYPE_CHECKING:
    from collections.abc import Callable

    from ark.ledger import Run
    from handlers.launch import How


class HowFlags(TypedDict):
    """What `_how_words` adds to a command."""

    no_next: bool
    trigger_on_partial: bool
    wait: bool
    verify: str | None
    day_share: int | None


def _how_words(command: "Callable[..., Any]") -> "Callable[..., Any]":
    """The flags that say how a run is done, the same for a first run and for taking it up."""
    share = "Percent of the day's quota that the run may use; instead of run.day_share."
    for word in (
        click.option("--day-share", type=click.IntRange(1, 100), metavar="N", help=share),
        click.option(
            "--verify", type=click.Choice(["read"]), help="read: read every batch back before it counts as stored."
        ),
        click.option("--wait", is_flag=True, help="Wait for whoever works on the same job, instead of ending with 75."),
        click.option(
            "--trigger-on-partial", is_flag=True, help="Start the next jobs also where some units have failed."
        ),
        click.option("--no-next", is_flag=True, help="Start no next jobs."),
    ):
        command = word(command)
    return command


def _how(flags: HowFlags) -> "How":
    from handlers.launch import How

    return How(
        follow=not flags["no_next"],
        on_partial=flags["trigger_on_partial"],
        wait=flags["wait"],
        read_back=flags["verify"] == "read",
        day_share=flags["day_share"],
    )


@click.command()
@job_words
@click.option("--dry-run", is_flag=True, help="Show what would be called; calls no medium.")
@_how_words
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
    restate: bool,
    as_json: bool,
    **said: Unpack[HowFlags],
) -> int:
    """Run INTERFACE, named as gdt.funds or by a scheduler's job name.

    \b
    ark run gdt.funds %7B'agent_id'%3A%201050262%2C%20...%7D
    ark run gdt.funds -g 1050262 -k gdt_advertiser_v1.1_T100117_20200530
    ark run gdt.advertisers -t T100117 -g 1050262 -d 2020-05-30 --dry-run
    ark run gdt.daily_report_ad -t T100117 -g 1050262 -d 2020-05-30 --all --restate
    """
    flags = Flags(tenant=tenant, date=date, agent=agent, accounts=accounts, redis_key=redis_key, output=output)
    name, job = named_job(settings, Words(interface, argument, shard), flags, everything=everything)
    if dry_run:
        _show(settings, name, job, restate=restate, as_json=as_json)
        return 0
    from handlers import launch

    how = _how(said)
    if restate:
        return _watched(partial(launch.restate, settings, name, job, tell, how))
    following = partial(launch.run, settings, name, job, tell, how, trigger_key=trigger_key)
    return _watched(following, child=trigger_key is not None)


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
@_how_words
@click.pass_obj
def rerun(settings: Settings, run_id: str, *, failed: bool, **said: Unpack[HowFlags]) -> int:
    """Take up what is open of a run; rows get the timestamps that the run had.

    \b
    ark rerun 20200530T080102-1f2e3d4c --failed
    """
    from handlers import launch

    return _watched(partial(launch.rerun, settings, run_id, tell, _how(said), only_failed=failed))


def _watched(work: "Callable[[], Run]", *, child: bool = False) -> int:
    """Do the work, print its result line, the last on stdout, and answer its exit code.

    Where it hangs after a signal or its deadline, the line tells what was known of it until then.
    """
    from handlers.stopping import AbandonedError, watch

    printed = threading.Lock()

    def concluded() -> int:
        return _conclude(work(), printed)

    try:
        return watch.run(concluded, child=child)
    except AbandonedError as abandoned:
        if abandoned.known is None:
            raise
        say(f"ark: {abandoned}")
        return _conclude(_left_behind(abandoned.known, abandoned.exit_code), printed)


def _conclude(done: "Run", printed: threading.Lock) -> int:
    from ark.report import result_line

    if printed.acquire(blocking=False):
        answer(result_line(done))
    return done.exit_code or 0


def _left_behind(known: "Run", code: int) -> "Run":
    """A run that was left behind: one that has its result keeps it, what should have followed is to come."""
    from ark.ledger import FINISHED

    status = known.status if known.status in FINISHED else "stopped"
    return msgspec.structs.replace(known, status=status, exit_code=code)
