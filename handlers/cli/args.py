"""`ark args`: the job argument written, read and explained."""

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from ark import clock
from ark.job import Job, decode, differences, encode, from_flags, override, to_wire
from ark.rows import compact

if TYPE_CHECKING:
    from ark.settings import Settings


def _example(line: str) -> str:
    return f"\b\nExample:\n  {line}"  # \b: click keeps the lines as they are


def _job_flags(command: Callable[..., Any]) -> Callable[..., Any]:
    """The flags -t -d -g -a -k -o; they arrive as the keywords of `from_flags` and `override`."""
    for option in (
        click.option("-o", "--output", type=click.Choice(["HBASE", "FILE", "NONE"]), help="Where the rows go."),
        click.option("-k", "--key", "redis_key", metavar="REDIS_KEY", help="Redis key that holds the accounts."),
        click.option("-a", "--account", "accounts", metavar="ACCOUNT", multiple=True, help="Account id; repeatable."),
        click.option("-g", "--agent", metavar="AGENT", help="Agent id."),
        click.option("-d", "--date", metavar="DATE", help="Date of the data: 2020-05-30 or 20200530."),
        click.option("-t", "--tenant", metavar="TENANT", help="Tenant, such as T100117."),
    ):
        command = option(command)
    return command


@click.group(epilog=_example("ark args encode -g 4011704 -k wx_advertiser_T100117_4011704_20200518"))
def args() -> None:
    """Write, read or explain the encoded argument of a job."""


@args.command(
    "encode",
    epilog=_example(
        "ark args encode \"{'agent_id': 1050262, 'tenant_alias': 'T100117', 'data_date': '2020-05-30'}\" -o FILE"
    ),
)
@click.argument("text", metavar="[DICT]", required=False)
@_job_flags
@click.option("--json", "as_json", is_flag=True, help='Print {"argument": ...}.')
@click.pass_obj
def encode_(settings: "Settings", /, text: str | None, *, as_json: bool, **flags: Any) -> None:  # noqa: ANN401  # click's
    """Print the encoded argument of a dict, of flags, or of a dict with flags that win over it."""
    today = clock.today()
    if text is None:
        job, notes = from_flags(**flags, default_tenant=settings.run.tenant, today=today)
    else:
        job = override(decode(text, today), **flags, today=today)
        notes = differences(job)
    for note in notes:
        click.echo(note, err=True)
    argument = encode(job)
    click.echo(json.dumps({"argument": argument}) if as_json else argument)


@args.command(
    "decode", epilog=_example("ark args decode \"%7B'agent_id'%3A%201050262%2C%20'tenant_alias'%3A%20'T100117'%2C...\"")
)
@click.argument("text")
def decode_(text: str) -> None:
    """Print the argument as JSON."""
    click.echo(json.dumps(to_wire(decode(text, clock.today())), ensure_ascii=False, indent=2))


@args.command(
    epilog=_example("ark args explain \"%7B'agent_id'%3A%201050262%2C%20'tenant_alias'%3A%20'T100117'%2C...\"")
)
@click.argument("text")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: key -> value, meaning, effect.")
def explain(text: str, *, as_json: bool) -> None:
    """Print each key of the argument, its value, what it means and what it leads to."""
    job = decode(text, clock.today())
    explained = explanation(job)
    if as_json:
        click.echo(json.dumps(explained, ensure_ascii=False, indent=2))
        return
    width = max(map(len, explained))
    for key, told in explained.items():
        click.echo(f"{key:{width}}  {_spelled(told['value'])}")
        click.echo(f"{'':{width}}  {told['meaning']}: {told['effect']}")


def explanation(job: Job) -> dict[str, dict[str, object]]:
    """For each key of the argument its value, its meaning and its effect in this job."""
    return {
        key: {"value": value, "meaning": EXPLAINED[key].meaning, "effect": EXPLAINED[key].effect(job)}
        for key, value in to_wire(job).items()
    }


def _spelled(value: object) -> str:
    return value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)


class _Explained(NamedTuple):
    meaning: str
    effect: Callable[[Job], str]


def _carried(_job: Job) -> str:
    return "Ark only hands it on to the next jobs"


def _medium(job: Job) -> str:
    return (
        "the interface that runs must be one of this medium" if job.media_name else "not given: any interface may run"
    )


def _accounts_key(job: Job) -> str:
    if job.account_list:
        return "not read, because account_list wins"
    if job.redis_accounts_key:
        return f"its members with score {job.agent_id} are the accounts"
    return "empty: with --all, the medium's key of this tenant and date is read"


def _account_list(job: Job) -> str:
    if job.account_list:
        return f"exactly these {len(job.account_list)} accounts, whatever the keys and agents_list say"
    return "empty: the accounts come from redis_accounts_key"


EXPLAINED: Mapping[str, _Explained] = {
    "agent_id": _Explained("the agent", lambda job: f"calls carry the token of agent {job.agent_id}"),
    "tenant_alias": _Explained("the tenant", lambda job: f"Redis keys and row keys hold {job.tenant_alias}"),
    "data_date": _Explained("date of the data in Asia/Shanghai", lambda job: f"row keys hold {compact(job.data_date)}"),
    "media_name": _Explained("the medium", _medium),
    "cur_job_name": _Explained("name of the job", lambda _job: "the event log shows it as cur_job"),
    "redis_accounts_key": _Explained("Redis key of the accounts", _accounts_key),
    "redis_keys": _Explained("further Redis keys", _carried),
    "account_list": _Explained("accounts named one by one", _account_list),
    "agents_list": _Explained("the agent once more; at most one", lambda _job: "must agree with agent_id"),
    "task_type_list": _Explained("kind of task", _carried),
    "shown_count": _Explained("how many entries to show", _carried),
    "redis_channel": _Explained(
        "Redis channel of messages to next jobs",
        lambda job: _carried(job) if job.redis_channel else "none is named",
    ),
    "incr_min": _Explained("minutes of an increment", _carried),
    "output": _Explained(
        "where rows go",
        lambda job: {"HBASE": "into the table store", "FILE": "into JSON lines files", "NONE": "nowhere"}[job.output],
    ),
    "minutely_control": _Explained(
        "calls per minute",
        lambda job: "--dry-run shows the share of it that the run takes" if job.minutely_control else "not given",
    ),
    "agent_level": _Explained("generation of the agent", _carried),
    "agent_total": _Explained("how many agents the batch has", _carried),
    "batch_key": _Explained("the batch that the job belongs to", _carried),
    "data_type": _Explained("kind of data", _carried),
}
"""Every key of the argument: what it means, and what it leads to in a job."""
