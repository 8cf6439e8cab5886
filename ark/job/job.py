"""The job argument: what one run of one interface works on (seed 003 §2, §4.1 and §4.4).

`decode` and `encode` are the two directions of one text; `from_flags` and `override` are what an engineer types. All
of them end in `from_wire`, which checks every key once: past it there is no raw dict, and ids are text.
"""

import datetime as dt
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import msgspec

from ark.errors import UsageError
from ark.job import argument
from ark.job.argument import nearest, shown
from ark.job.wire import FIELDS, checked, how, iso

Output = Literal["HBASE", "FILE", "NONE"]

PARENT, CHILD = "parent", "child"
"""`agent_level`: an agent of the first or of the second generation (jrtt)."""

MAX_COMMAND = 128 * 1024
"""Longest command line that `split_command` reads."""

_BLANK = re.compile(r"[ \t\r\n]+")
_ARGUMENT_AHEAD = re.compile(r"['\"]?(?:\{|%7[Bb])")
_ARGUMENT = re.compile(
    r"""(?P<quote>['"])(?P<wrapped>(?:\{|%7[Bb]).*?(?:\}|%7[Dd]))(?P=quote)(?=[ \t\r\n]|$)
    | (?P<encoded>%7[Bb][^ \t\r\n]*)
    | (?P<raw>\{.*\}(?=[ \t\r\n]|$) | \{.*)""",
    re.VERBOSE | re.DOTALL,
)
_WORD = re.compile(r"""(?:[^ \t\r\n'"\\]|'[^']*'|"[^"\\]*(?:\\.[^"\\]*)*"|\\.)+""", re.DOTALL)


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One decoded argument for one interface.

    `account_list` wins over `agents_list` and over `redis_accounts_key`; `agents_list` holds at most one agent, the
    same as `agent_id`. Texts that are not given are empty, numbers 0, `shown_count` None. `incr_min` is in minutes,
    `minutely_control` in calls per minute.
    """

    agent_id: str
    tenant_alias: str
    data_date: dt.date
    media_name: str = ""
    cur_job_name: str = ""
    redis_accounts_key: str = ""
    redis_keys: tuple[str, ...] = ()
    account_list: tuple[str, ...] = ()
    agents_list: tuple[str, ...] = ()
    task_type_list: str = ""
    shown_count: int | None = None
    redis_channel: str = ""
    incr_min: int = 0
    output: Output = "HBASE"
    minutely_control: int = 0
    agent_level: str = ""
    agent_total: int = 0
    batch_key: str = ""
    data_type: str = ""


def decode(text: str, today: dt.date) -> Job:
    """The job that an argument spells, URL-encoded or raw, Python dict or JSON; `today` is the date in Asia/Shanghai.

    Raises UsageError: one line that names the key or the position, what is wrong, and how to write it.
    """
    return from_wire(argument.parse(text), today)


def encode(job: Job) -> str:
    """The argument that decodes to `job`; raises UsageError where it would be too long for a command line."""
    text = argument.dump(to_wire(job))
    if len(text) > argument.MAX_CHARS:
        raise UsageError(
            f"account_list with {len(job.account_list)} accounts makes an argument of {len(text)} characters, at most "
            f"{argument.MAX_CHARS} can be passed: put the accounts into a Redis key and name that (-k)"
        )
    return text


def to_wire(job: Job) -> dict[str, object]:
    """The job as other programs read it: the 18 keys in the seed's order and types, `shown_count` only where set."""
    wire: dict[str, object] = msgspec.to_builtins(job)
    wire |= {key: list(getattr(job, key)) for key in ("redis_keys", "account_list", "agents_list")}
    wire["agent_id"] = int(job.agent_id)
    wire["redis_channel"] = job.redis_channel or "None"
    if job.shown_count is None:
        del wire["shown_count"]
    return wire


def from_wire(wire: Mapping[str, object], today: dt.date) -> Job:
    """The job of a decoded dict, every key checked; None stands for "not given", save for `output`."""
    for key in wire:
        if key not in FIELDS:
            raise UsageError(f"{shown(key)} is not a key of the job argument{nearest(key, FIELDS) or ': leave it out'}")
    given = {key: value for key, value in wire.items() if value is not None or key == "output"}
    for key in ("agent_id", "tenant_alias", "data_date"):
        if key not in given:
            raise UsageError(f"{key} is missing: {how(key)}")
    values: dict[str, Any] = {key: checked(key, value) for key, value in given.items()}
    job = Job(**values)
    _agree(job, today)
    return job


def from_flags(
    *,
    tenant: str | None = None,
    date: str | None = None,
    agent: str | None = None,
    accounts: Sequence[str] = (),
    redis_key: str | None = None,
    output: str | None = None,
    interface: str = "",
    default_tenant: str = "",
    today: dt.date,
) -> tuple[Job, list[str]]:
    """The job of the flags -t -d -g -a -k -o (None: not given), and a note for each value taken from elsewhere.

    A tenant or a date not given is taken from the name of the Redis key where it holds one
    (`wx_advertiser_T100117_4011704_20200518`), else it is `default_tenant` (the setting run.tenant) or `today`.
    """
    named = _named(redis_key or "")
    notes = []
    if tenant is None:
        tenant = named.tenant or default_tenant
        if not tenant:
            raise UsageError("tenant_alias is missing: give -t T100117, or set run.tenant (ARK_RUN_TENANT)")
        notes.append(f"tenant {tenant}: from {f'the name of {redis_key}' if named.tenant else 'run.tenant'}")
    if date is None:
        date = named.date or today.isoformat()
        notes.append(f"date {date}: {f'from the name of {redis_key}' if named.date else 'today in Asia/Shanghai'}")
    wire = {
        "agent_id": agent,
        "tenant_alias": tenant,
        "data_date": date,
        "media_name": interface.partition(".")[0],
        "cur_job_name": interface,
        "redis_accounts_key": redis_key or "",
        "account_list": list(accounts),
        "agents_list": [] if agent is None else [agent],
    }
    job = from_wire(wire | ({} if output is None else {"output": output}), today)
    return job, notes + differences(job)


def override(
    job: Job,
    *,
    tenant: str | None = None,
    date: str | None = None,
    agent: str | None = None,
    accounts: Sequence[str] = (),
    redis_key: str | None = None,
    output: str | None = None,
    today: dt.date,
) -> Job:
    """`job` with the flags that were given beside its argument, which win; `differences` tells what may surprise.

    -k without -a empties `account_list`, because that would win over the key.
    """
    wire = to_wire(job)
    flags = {
        "tenant_alias": tenant,
        "data_date": date,
        "agent_id": agent,
        "redis_accounts_key": redis_key,
        "output": output,
    }
    wire |= {key: value for key, value in flags.items() if value is not None}
    if agent is not None and job.agents_list:
        wire["agents_list"] = [agent]
    if accounts or redis_key:
        wire["account_list"] = list(accounts)
    return from_wire(wire, today)


def differences(job: Job) -> list[str]:
    """Notes on where the name of the Redis key and the job tell different things; the job holds."""
    named = _named(job.redis_accounts_key)
    pairs = (("tenant", named.tenant, job.tenant_alias), ("date", named.date, job.data_date.isoformat()))
    return [
        f"{what} {held} holds, although {job.redis_accounts_key} names {told}"
        for what, told, held in pairs
        if told and told != held
    ]


def split_command(text: str) -> list[str]:
    """The words of a command line that came as one text, as XXL-JOB hands its parameter over.

    As a shell would split it, save that the job argument, the first word that starts with %7B or {, keeps its own
    quotes: a scheduler writes `%7B'agent_id'%3A...%7D`. Quotes around the whole argument go. Raises UsageError for a
    quote that is never closed.
    """
    if len(text) > MAX_COMMAND:
        raise UsageError(f"the command line has {len(text)} characters, at most {MAX_COMMAND} are read")
    text = text.strip(" \t\r\n")
    words: list[str] = []
    at, argument_seen = 0, False
    while at < len(text):
        word = None
        if not argument_seen and _ARGUMENT_AHEAD.match(text, at):
            argument_seen, word = True, _ARGUMENT.match(text, at)
        if word:
            words.append(_unwrapped(word))
        elif word := _WORD.match(text, at):
            words.extend(shlex.split(word[0]))
        else:
            raise UsageError(f"the command line has a quote that is never closed: {shown(text[at:])}")
        blank = _BLANK.match(text, word.end())
        at = blank.end() if blank else word.end()
    return words


def _unwrapped(word: re.Match[str]) -> str:
    """The argument as it is; where quotes were around it, without what a shell would have needed inside them."""
    wrapped: str | None = word["wrapped"]
    if wrapped is None:
        return word[0]
    if word["quote"] == '"':
        return re.sub(r'\\(["\\])', r"\1", wrapped)
    return wrapped.replace("""'"'"'""", "'").replace(r"'\''", "'")


class _Named(NamedTuple):
    """What the name of a Redis key tells; the date as yyyy-mm-dd; empty where it tells nothing."""

    tenant: str
    date: str


def _named(redis_key: str) -> _Named:
    """The one part like T100117, and the last part where it is a date."""
    parts = redis_key.split("_")
    tenants = [part for part in parts if re.fullmatch("T[0-9]+", part)]
    return _Named(tenants[0] if len(tenants) == 1 else "", iso(parts[-1]) if len(parts[-1]) == len("yyyymmdd") else "")


def _agree(job: Job, today: dt.date) -> None:
    """What no key can tell alone."""
    if job.data_date > today:
        raise UsageError(
            f"data_date {job.data_date} is in the future: it is {today} in Asia/Shanghai; give a date until then"
        )
    if len(job.agents_list) > 1:
        raise UsageError(
            f"agents_list holds {len(job.agents_list)} agents, only one is allowed: start one job per agent"
        )
    if job.agents_list and job.agents_list[0] != job.agent_id:
        raise UsageError(
            f"agents_list holds {job.agents_list[0]} and agent_id is {job.agent_id}: write the same agent in both"
        )
