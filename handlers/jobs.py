"""What the scheduler's job names run, and what follows what: conf/jobs.toml, read and checked."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from itertools import chain
from pathlib import Path

import msgspec

from ark import data_files
from ark.accounts.keys import Keys
from ark.errors import ConfigError, UsageError
from ark.job import CHILD, Job
from ark.job.argument import nearest, shown
from ark.settings import CONF, DEFAULTS, Percent, Settings
from handlers.lists import list_key
from handlers.registry import find


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    jobs: dict[str, str] = {}
    follows: dict[str, list[str]] = {}
    alone: dict[str, str] = {}
    day_share: dict[str, Percent] = {}


class Jobs:
    """The interfaces there are, the scheduler's names for them, and their followers."""

    def __init__(self, interfaces: Collection[str], file: _File) -> None:
        self._names = {**file.jobs, **{interface: interface for interface in interfaces}}
        self._jobs = file.jobs
        self._follows = file.follows
        self._day_share = file.day_share
        self.alone: Mapping[str, str] = file.alone
        """The interfaces that nothing starts, each with the reason."""

    def resolve(self, name: str) -> str:
        """The interface of a scheduler's job name or of its own; raises UsageError with the nearest name there is."""
        try:
            return self._names[name]
        except KeyError:
            hint = nearest(name, self._names) or "; see `ark interfaces`"
            raise UsageError(f"there is no interface or job {shown(name)}{hint}") from None

    def day_share(self, interface: str, settings: Settings) -> int:
        """Percent of the day's quota that a run of `interface` may use: its own, where run.day_share is not set."""
        if not settings.origins["run.day_share"].startswith(DEFAULTS):
            return settings.run.day_share
        return self._day_share.get(interface, settings.run.day_share)

    def followers(self, interface: str) -> tuple[str, ...]:
        """The interfaces that a finished run of `interface` starts."""
        return tuple(self._follows.get(interface, ()))

    def scheduled(self, interface: str) -> tuple[str, ...]:
        """The scheduler's names of `interface`."""
        return tuple(name for name, runs in self._jobs.items() if runs == interface)

    def roots(self) -> list[str]:
        """The interfaces that only the scheduler starts, in the order of their names."""
        return sorted({*self._names.values()} - {*chain(*self._follows.values())} - {*self.alone})

    def next_jobs(self, job: Job, finished: str, children: Sequence[str] = ()) -> Iterator[tuple[str, Job]]:
        """Every follower of `finished`, which ran on `job`, with its argument.

        `children` are the second-generation agents that `finished` has listed: a follower that works by agent is
        started once for each of them.
        """
        for follower in self.followers(finished):
            if starts_per_agent(finished, follower):
                for child in children:
                    of_child = {"agent_id": child, "agents_list": (child,), "agent_level": CHILD}
                    yield follower, _named(follower, job, redis_accounts_key="", account_list=(), **of_child)
            else:
                yield follower, _next_job(job, finished, follower)


def starts_per_agent(finished: str, follower: str) -> bool:
    """Whether `follower` is started once for each second-generation agent that `finished` has listed."""
    return find(finished).fills == "child_agents" and find(follower).by == "agent"


def _next_job(job: Job, finished: str, follower: str) -> Job:
    """The argument of `follower` after `finished` ran on `job`: the same tenant, agent, date, output and batch.

    After an interface that fills or feeds a list the follower works from that list, whatever accounts were named
    before; after any other one from the same accounts or key. Where neither was named (--all), the key is named now.
    """
    before, after = find(finished), find(follower)
    filled = before.fills or before.feeds
    if not filled and before.works_on == after.works_on and (job.account_list or job.redis_accounts_key):
        return _named(follower, job)
    keys = Keys.of(after.section, job.tenant_alias, job.data_date, job.agent_id)
    if filled and (filled == after.works_on or (filled, after.works_on) == ("child_accounts", "accounts")):
        key = getattr(keys, filled)
    else:
        key = list_key(after, msgspec.structs.replace(job, redis_accounts_key=""), keys)
    return _named(follower, job, redis_accounts_key=key, account_list=())


def _named(follower: str, job: Job, **changes: object) -> Job:
    return msgspec.structs.replace(job, cur_job_name=follower, media_name=follower.partition(".")[0], **changes)


def load_jobs(interfaces: Collection[str], path: Path = CONF / "jobs.toml") -> Jobs:
    """The jobs of `path`, all of whose interfaces are among `interfaces`.

    Raises ConfigError for a file that is not as expected, an unknown interface, one that nothing starts, one that
    would be started twice, and interfaces that follow each other in a circle.
    """
    file = data_files.read(path, _File)
    _check_names(file, interfaces, path)
    try:
        TopologicalSorter(file.follows).prepare()
    except CycleError as error:
        circle = " -> ".join(reversed(error.args[1]))
        raise ConfigError(f"[follows] of {path} goes in a circle: {circle}; take one of them out") from error
    _check_ways_in(file, interfaces, path)
    return Jobs(interfaces, file)


def _check_names(file: _File, interfaces: Collection[str], path: Path) -> None:
    """Only interfaces there are, jobs that are none, and followers of the same medium."""
    for place, interface in _mentioned(file):
        if interface not in interfaces:
            hint = nearest(interface, interfaces) or "; see `ark interfaces`"
            raise ConfigError(f"{place} of {path} names the unknown interface {shown(interface)}{hint}")
    for job in file.jobs:
        if job in interfaces:
            raise ConfigError(f"{job} in [jobs] of {path} is an interface's own name: it runs that, leave the line out")
    for before, followers in file.follows.items():
        for follower in followers:
            if before.partition(".")[0] != follower.partition(".")[0]:
                raise ConfigError(f"[follows] of {path} starts {follower} after {before}: agents are of one medium")


def _check_ways_in(file: _File, interfaces: Collection[str], path: Path) -> None:
    """Every interface is started by something, and by one thing only for one job."""
    scheduled, alone = {*file.jobs.values()}, {*file.alone}
    followers = {*chain(*file.follows.values())}
    for interface in sorted(alone & (scheduled | followers)):
        raise ConfigError(f"[alone] of {path} says that nothing starts {interface}, but something does: take it out")
    for interface in sorted({*interfaces} - scheduled - alone - followers):
        raise ConfigError(
            f"{interface} has no way in: give it a scheduler's name in [jobs] of {path}, let it follow another one in"
            " [follows], or say in [alone] who runs it"
        )
    for root in sorted(file.follows.keys() - followers):
        for interface, times in Counter(_reached(file, root)).items():
            if times > 1:
                raise ConfigError(
                    f"[follows] of {path} starts {interface} {times} times after {root}: leave all but one out"
                )


def _reached(file: _File, interface: str) -> Iterator[str]:
    """Everything that is started after `interface`, as often as it is started."""
    for follower in file.follows.get(interface, ()):
        yield follower
        yield from _reached(file, follower)


def _mentioned(file: _File) -> list[tuple[str, str]]:
    """Every interface the file names, and where."""
    jobs = [(f"{job} in [jobs]", interface) for job, interface in file.jobs.items()]
    follows = [("[follows]", name) for name in chain(file.follows, *file.follows.values())]
    alone = [("[alone]", name) for name in file.alone]
    return jobs + follows + alone + [("[day_share]", name) for name in file.day_share]
