"""`ark tenants sync`: tenants and agents from the tenants' database to Redis, then each agent's first runs."""

import datetime as dt
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import click
import msgspec

from ark.clock import today
from ark.errors import UsageError
from ark.job import Job
from ark.job.argument import nearest, shown
from ark.job.wire import checked
from ark.settings import Settings
from handlers.cli.telling import answer, say, tell

if TYPE_CHECKING:
    from ark.ledger import Run
    from ark.tenants.judge import Agent
    from ark.tenants.lists import Changes, Scope
    from ark.tenants.rules import Rules
    from handlers.tenants import Head, Launch, Outcome, Synced


@click.group()
def tenants() -> None:
    """The tenants and agents that the tenants' database (tenant.url) knows."""


@tenants.command()
@click.option("-t", "--tenant", metavar="TENANT", help="Only this tenant.")
@click.option("--media", metavar="MEDIA", help="Only these media: gdt,jrtt")
@click.option("-d", "--date", metavar="DATE", help="Date of the runs; default: today in Asia/Shanghai.")
@click.option("--dry-run", is_flag=True, help="Show what would change and start; writes nothing.")
@click.option("--no-jobs", is_flag=True, help="Start no runs.")
@click.option("--no-next", is_flag=True, help="Start no next jobs after a run.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document, when all is done.")
@click.pass_obj
def sync(
    settings: Settings,
    tenant: str | None,
    media: str | None,
    date: str | None,
    *,
    dry_run: bool,
    no_jobs: bool,
    no_next: bool,
    as_json: bool,
) -> int:
    """Bring the agents in Redis to what the views ark_tenants and ark_agents say, then run each agent's list jobs.

    The views are those of conf/tenants.sql; what counts and what is started stands in conf/tenants.toml. One line per
    change: `+` comes, `-` goes, `~` moves to another list.

    \b
    ark tenants sync --dry-run
    ark tenants sync -t T100117 --media gdt,jrtt -d 2020-05-30
    """
    from ark.tenants.lists import Scope
    from ark.tenants.rules import load_rules
    from handlers.registry import names
    from handlers.stopping import watch

    day = _day(date)
    rules = load_rules(names())
    scope = Scope(tenant, _media(media, rules.platforms))
    how = _How(day, dry_run=dry_run, jobs=not no_jobs, follow=not no_next, as_json=as_json)
    return watch.run(partial(_sync, settings, rules, scope, how))


class _How(NamedTuple):
    """What the flags say."""

    day: dt.date
    dry_run: bool
    jobs: bool
    follow: bool
    as_json: bool


def _sync(settings: Settings, rules: "Rules", scope: "Scope", how: _How) -> int:
    from handlers import tenants as module

    synced = module.sync(settings, rules, scope, say, dry_run=how.dry_run)
    if not how.as_json:
        for line in _lines(synced.changes):
            answer(line)
    _summarise(synced, dry_run=how.dry_run)
    heads = module.heads(rules, synced.changes) if how.jobs else []
    if how.dry_run:
        outcomes = _planned(heads, how.day)
    else:
        outcomes = list(module.start(settings, heads, how.day, _launch(follow=how.follow), say))
        _tell_unstarted(outcomes)
    if how.as_json:
        answer(msgspec.json.encode(_document(synced, outcomes)))
    return module.conclude(synced.faults, outcomes)


def _day(text: str | None) -> dt.date:
    """The date, before anything is written."""
    day = today() if text is None else cast("dt.date", checked("data_date", text))
    if day > today():
        raise UsageError(f"-d {day} is in the future: it is {today()} in Asia/Shanghai; give a date until then")
    return day


def _media(text: str | None, platforms: Mapping[str, int]) -> tuple[str, ...]:
    media = tuple(platforms) if text is None else tuple(dict.fromkeys(text.split(",")))
    for medium in media:
        if medium not in platforms:
            hint = nearest(medium, platforms) or f": there are {', '.join(platforms)}"
            raise UsageError(f"--media names {shown(medium)}{hint}")
    return media


def _launch(*, follow: bool) -> "Launch":
    from handlers import launch

    def launched(settings: Settings, interface: str, job: Job) -> "Run":
        return launch.run(settings, interface, job, tell, launch.How(follow=follow), more=True)

    return launched


def _lines(changes: "Changes") -> list[str]:
    signs = (("+", changes.added), ("-", changes.removed), ("~", changes.changed))
    return [f"{sign} {agent.medium} {agent.tenant} {agent.id}" for sign, agents in signs for agent in agents]


def _summarise(synced: "Synced", *, dry_run: bool) -> None:
    changes = synced.changes
    say(
        f"{synced.tenants} active tenants; agents: {len(changes.added)} added, {len(changes.removed)} removed,"
        f" {len(changes.changed)} changed, {changes.unchanged} unchanged{'; dry run, nothing is written' * dry_run}"
    )
    if synced.faults:
        say(f"{synced.faults} rows cannot be used, see above; exit code 3")


def _planned(heads: Sequence["Head"], day: dt.date) -> list["Outcome"]:
    from handlers.tenants import Outcome

    for head in heads:
        say(f"would run {head.interface} for {head.agent.tenant} {head.agent.id} on {day}")
    return [Outcome(head) for head in heads]


def _tell_unstarted(outcomes: Sequence["Outcome"]) -> None:
    unstarted = sum(outcome.exit is None for outcome in outcomes)
    if unstarted:
        last = outcomes[-unstarted - 1]
        say(
            f"{last.head.interface} {last.head.agent.tenant} {last.head.agent.id} ended with exit code {last.exit}:"
            f" {unstarted} of {len(outcomes)} runs were not started; run `ark tenants sync` again"
        )


def _document(synced: "Synced", outcomes: Sequence["Outcome"]) -> dict[str, Any]:
    changes = synced.changes
    return {
        "tenants": synced.tenants,
        "added": [_named(agent) for agent in changes.added],
        "removed": [_named(agent) for agent in changes.removed],
        "changed": [_named(agent) for agent in changes.changed],
        "unchanged": changes.unchanged,
        "faults": synced.faults,
        "jobs": [
            {
                "interface": outcome.head.interface,
                **_named(outcome.head.agent),
                "run_id": outcome.run_id or None,
                "status": outcome.status,
                "exit": outcome.exit,
            }
            for outcome in outcomes
        ],
    }


def _named(agent: "Agent") -> dict[str, str]:
    return {"medium": agent.medium, "tenant": agent.tenant, "agent": agent.id}
