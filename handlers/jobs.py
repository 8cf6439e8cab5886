"""What the scheduler's job names run, and what follows what: conf/jobs.toml, read and checked."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from itertools import chain
from pathlib import Path

import msgspec

from ark.accounts.keys import Keys
from ark.errors import ConfigError, UsageError
from ark.job import Job
from ark.job.argument import nearest, shown
from ark.settings import CONF
from handlers.registry import find


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    jobs: dict[str, str] = {}
    follows: dict[str, list[str]] = {}


class Jobs:
    """The interfaces there are, the scheduler's names for them, and their followers."""

    def __init__(
        self, interfaces: Collection[str], jobs: Mapping[str, str], follows: Mapping[str, Sequence[str]]
    ) -> None:
        self._names = {**jobs, **{interface: interface for interface in interfaces}}
        self._follows = follows

    def resolve(self, name: str) -> str:
        """The interface of a scheduler's job name or of its own; raises UsageError with the nearest name there is."""
        try:
            return self._names[name]
        except KeyError:
            hint = nearest(name, self._names) or "; see `ark interfaces`"
            raise UsageError(f"there is no interface or job {shown(name)}{hint}") from None

    def followers(self, interface: str) -> tuple[str, ...]:
        """The interfaces that a finished run of `interface` starts."""
        return tuple(self._follows.get(interface, ()))

    def next_job(self, job: Job, finished: str, follower: str) -> Job:
        """The argument of `follower` after `finished` ran on `job`: the same tenant, agent, date, output and batch.

        After an interface that fills the day's account list the follower works from that list, whatever accounts were
        named before; after any other one from the same accounts or key. Where neither was named (--all), the key is
        named now.
        """
        fills = find(finished).fills == "accounts"
        renamed = msgspec.structs.replace(job, cur_job_name=follower, media_name=follower.partition(".")[0])
        if not fills and (job.account_list or job.redis_accounts_key):
            return renamed
        keys = Keys.of(finished.partition(".")[0], job.tenant_alias, job.data_date, job.agent_id)
        return msgspec.structs.replace(renamed, redis_accounts_key=keys.accounts, account_list=())


def load_jobs(interfaces: Collection[str], path: Path = CONF / "jobs.toml") -> Jobs:
    """The jobs of `path`, all of whose interfaces are among `interfaces`.

    Raises ConfigError for a file that is not as expected, an unknown interface, one that would be started twice, and
    interfaces that follow each other in a circle.
    """
    try:
        file = msgspec.toml.decode(path.read_bytes(), type=_File)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not as expected: {error}; it has the sections [jobs] and [follows]") from error
    for place, interface in _named(file):
        if interface not in interfaces:
            hint = nearest(interface, interfaces) or "; see `ark interfaces`"
            raise ConfigError(f"{place} of {path} names the unknown interface {shown(interface)}{hint}")
    for interface, times in Counter(chain(*file.follows.values())).items():
        if times > 1:
            raise ConfigError(f"[follows] of {path} starts {interface} {times} times: leave all but one out")
    try:
        TopologicalSorter(file.follows).prepare()
    except CycleError as error:
        circle = " -> ".join(reversed(error.args[1]))
        raise ConfigError(f"[follows] of {path} goes in a circle: {circle}; take one of them out") from error
    return Jobs(interfaces, file.jobs, file.follows)


def _named(file: _File) -> list[tuple[str, str]]:
    """Every interface the file names, and where."""
    jobs = [(f"{job} in [jobs]", interface) for job, interface in file.jobs.items()]
    return jobs + [("[follows]", name) for name in chain(file.follows, *file.follows.values())]
