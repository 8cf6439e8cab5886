"""`ark run --dry-run`: what a run would do, without calling the medium or writing anything."""

import asyncio
import re
import time

import click
import msgspec

from ark.job import Job
from ark.redact import MASK
from ark.rows import compact
from ark.settings import Settings
from ark.units import Unit
from handlers.account_lists import AccountLists
from handlers.api import ApiHandler, Stamp
from handlers.forecast import least_calls
from handlers.registry import make

SAMPLES = 3


class Plan(msgspec.Struct, kw_only=True):
    """What is shown; `calls` counts one page per unit, which is the least there can be."""

    interface: str
    tenant: str
    agent: str
    date: str
    table: str
    output: str
    accounts: int
    calls: int
    quota: str
    urls: list[str]
    row_keys: list[str]


def dry_run(settings: Settings, interface: str, job: Job, *, as_json: bool) -> None:
    """Print the plan of a run; reads the account list, and no token."""
    plan = asyncio.run(_plan(settings, make(interface, settings), job))
    if as_json:
        click.echo(msgspec.json.encode(plan))
        return
    for name, value in msgspec.to_builtins(plan).items():
        for line in value if isinstance(value, list) else [value]:
            click.echo(f"{name:<10} {line}")


async def _plan(settings: Settings, handler: ApiHandler, job: Job) -> Plan:
    async with AccountLists(settings, _tell) as lists:
        members = await lists.of(handler, job, max(SAMPLES, handler.batch))
    calls = least_calls(handler, members.size)
    units = _samples(handler, job, members.first)
    return Plan(
        interface=handler.name(),
        tenant=job.tenant_alias,
        agent=job.agent_id,
        date=job.data_date.isoformat(),
        table=handler.table,
        output=job.output,
        accounts=members.size,
        calls=calls,
        quota=_quota(handler, job, calls),
        urls=[masked_url(handler, unit) for unit in units],
        row_keys=[row_key(handler, unit) for unit in units],
    )


def _samples(handler: ApiHandler, job: Job, accounts: tuple[str, ...]) -> list[Unit]:
    """The first units of `accounts`, together where one call asks for many."""
    variant = next(handler.variant_values())
    if handler.batch > 1:
        return [Unit(job.tenant_alias, job.data_date, job.agent_id, "", variant, accounts)]
    return [Unit(job.tenant_alias, job.data_date, job.agent_id, account, variant) for account in accounts[:SAMPLES]]


def _tell(unusable: str) -> None:
    click.echo(f"unusable: {unusable}", err=True)


def _quota(handler: ApiHandler, job: Job, calls: int) -> str:
    """The share of a minute's quota; how large the quota is only the argument says, the medium tells what is left."""
    if not job.minutely_control:
        return f"unknown: the argument has no minutely_control; the medium counts {handler.quota_rule}"
    return f"{100 * calls / job.minutely_control:.1f}% of one minute at {job.minutely_control} calls (minutely_control)"


def masked_url(handler: ApiHandler, unit: Unit) -> str:
    """The first call that a unit would make, without its token."""
    params = handler.params(unit)
    if handler.page_size:
        params = {**params, **handler.page(1)}
    url = handler.sign(handler.settings.url, unit, params, "TOKEN", Stamp(int(time.time()), "0")).url
    return re.sub(r"(?<=token=)[^&]*", MASK, url)


def row_key(handler: ApiHandler, unit: Unit) -> str:
    """The unit's row key; what only a record knows stands in angle brackets."""
    known = unit.variant | {
        "date": compact(unit.date),
        "tenant": unit.tenant,
        "agent_id": unit.agent_id,
        "account_id": unit.account_id or "<account_id>",
        "salt": unit.account_id[-1:] or "<salt>",
    }
    return "|".join(known.get(field, f"<{field}>") for field in handler.row_key.fields)
