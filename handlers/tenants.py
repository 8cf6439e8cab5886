"""Head tasks: the tenants and agents of the tenants' database to Redis, then a run of each agent's head interfaces."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from typing import NamedTuple

import msgspec

from ark.accounts.directory import connect
from ark.clock import today
from ark.errors import ArkError, TokenError
from ark.job import CHILD, PARENT, Job, from_flags
from ark.ledger import Run
from ark.settings import Settings
from ark.tenants.judge import Agent, Judged, judge
from ark.tenants.lists import Changes, Scope, aim, known, replace
from ark.tenants.rules import Rules, keys_of
from ark.tenants.views import read
from handlers import launch

ENDING = launch.ENDING - {TokenError.exit_code}
"""Exit codes of a run after which no other one is started; another agent has another token."""
PARTLY = 3
"""Some rows cannot be used, the others are."""

Told = Callable[[str], None]
Launch = Callable[[Settings, str, Job], Run]


class Synced(NamedTuple):
    """What a sync has done, or, as a dry run, would do."""

    tenants: int
    """Active ones, within the scope."""
    faults: int
    """Rows of the views that cannot be used."""
    changes: Changes


class Head(NamedTuple):
    """A head interface to run for one agent."""

    interface: str
    agent: Agent
    level: str


class Outcome(NamedTuple):
    """What became of a head; `run_id` is empty and `exit` None where it was not started."""

    head: Head
    run_id: str = ""
    status: str = "not started"
    exit: int | None = None
    error: str = ""


def sync(settings: Settings, rules: Rules, scope: Scope, refused: Told, *, dry_run: bool) -> Synced:
    """Read the views and bring the agents in Redis to what they say, all at once; a `dry_run` writes nothing.

    Every row that cannot be used is told to `refused`. Raises InputDataError where no tenant or no agent is usable;
    then, as with every other error, Redis stays as it was.
    """
    two_levels = [medium for medium in rules.platforms if "all_agents" in keys_of(medium, "T1")]
    judged = judge(read(settings.tenant.url), rules, two_levels, refused)
    changes = asyncio.run(_replace(settings, rules, scope, judged, dry_run=dry_run))
    tenants = judged.active if scope.tenant is None else judged.active & {scope.tenant}
    kept = {agent: names for agent, names in changes.lists.items() if agent.tenant in tenants}
    return Synced(len(tenants), judged.faults, changes._replace(lists=kept))


async def _replace(settings: Settings, rules: Rules, scope: Scope, judged: Judged, *, dry_run: bool) -> Changes:
    directory = await connect(settings)
    try:
        target = aim(judged, rules, await known(directory, rules, judged), scope)
        return await replace(directory, target, dry_run=dry_run)
    finally:
        await directory.aclose()


def heads(rules: Rules, changes: Changes) -> list[Head]:
    """What is to run for the agents that are in Redis after a sync: medium by medium, tenant by tenant."""
    return [
        Head(interface, agent, PARENT if "agents" in lists else CHILD)
        for agent, lists in changes.lists.items()
        for interface in rules.heads_of(agent.medium, lists)
    ]


def start(settings: Settings, wanted: Sequence[Head], day: date, launched: Launch, told: Told) -> Iterator[Outcome]:
    """Run the heads on `day`, one after the other; the outcome of each as it is known.

    One that fails does not stop the others; one that ends with a code of ENDING does, and the rest is not started.
    What keeps a run from beginning is told.
    """
    ended = False
    for head in wanted:
        outcome = Outcome(head) if ended else _run(settings, head, day, launched)
        if outcome.error:
            told(f"{head.interface} {head.agent.tenant} {head.agent.id} did not begin: {outcome.error}")
        ended = ended or outcome.exit in ENDING
        yield outcome


def conclude(faults: int, outcomes: Sequence[Outcome]) -> int:
    """The exit code of it all: a signal's, else the first that is not 0, unusable rows before runs."""
    codes = [outcome.exit for outcome in outcomes if outcome.exit]
    signalled = [code for code in codes if code in launch.SIGNALLED]
    return next(iter([*signalled, *([PARTLY] if faults else []), *codes]), 0)


def _run(settings: Settings, head: Head, day: date, launched: Launch) -> Outcome:
    try:
        run = launched(settings, head.interface, job_of(head, day))
    except ArkError as error:
        return Outcome(head, status="failed", exit=error.exit_code, error=str(error))
    return Outcome(head, run.run_id, run.status, run.exit_code)


def job_of(head: Head, day: date) -> Job:
    """The argument of a head's run."""
    agent = head.agent
    job, _ = from_flags(
        tenant=agent.tenant, date=day.isoformat(), agent=agent.id, interface=head.interface, today=today()
    )
    return msgspec.structs.replace(job, agent_level=head.level)
