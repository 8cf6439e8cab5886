"""`ark run --dry-run`: what a run would do, without calling the medium or writing anything."""

import asyncio
import re
import time
from collections.abc import AsyncIterator

import click
import msgspec

from ark.accounts.directory import Directory, connect
from ark.accounts.keys import Keys
from ark.job import Job
from ark.redact import MASK
from ark.rows import compact
from ark.settings import Settings
from ark.units import Unit
from handlers.api import ApiHandler, Stamp
from handlers.lists import list_key
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
    variants = len(list(handler.variant_values()))
    accounts = 0
    units: list[Unit] = []
    async for chunk in _accounts(settings, handler, job):
        accounts += len(chunk)
        units += _samples(handler, job, chunk)[: SAMPLES - len(units)]
    calls = -(-accounts // handler.batch) * variants
    base_url = handler.settings.url
    return Plan(
        interface=handler.name(),
        tenant=job.tenant_alias,
        agent=job.agent_id,
        date=job.data_date.isoformat(),
        table=handler.table,
        output=job.output,
        accounts=accounts,
        calls=calls,
        quota=_quota(handler, job, calls),
        urls=[_url(handler, base_url, unit) for unit in units],
        row_keys=[_row_key(handler, unit) for unit in units],
    )


def _samples(handler: ApiHandler, job: Job, accounts: list[str]) -> list[Unit]:
    """The first units of `accounts`, together where one call asks for many."""
    variant = next(handler.variant_values())
    if handler.batch > 1:
        chunk = tuple(accounts[: handler.batch])
        return [Unit(job.tenant_alias, job.data_date, job.agent_id, "", variant, chunk)]
    return [Unit(job.tenant_alias, job.data_date, job.agent_id, account, variant) for account in accounts[:SAMPLES]]


async def _accounts(settings: Settings, handler: ApiHandler, job: Job) -> AsyncIterator[list[str]]:
    if handler.by == "agent":
        yield [""]
    elif job.account_list:
        yield list(job.account_list)
    else:
        directory: Directory = await connect(settings)
        try:
            keys = Keys.of(handler.section, job.tenant_alias, job.data_date, job.agent_id)
            async for chunk in directory.accounts(list_key(handler, job, keys), job.agent_id, _tell):
                yield chunk
        finally:
            await directory.aclose()


def _tell(unusable: str) -> None:
    click.echo(f"unusable: {unusable}", err=True)


def _quota(handler: ApiHandler, job: Job, calls: int) -> str:
    """The share of a minute's quota; how large the quota is only the argument says, the medium tells what is left."""
    if not job.minutely_control:
        return f"unknown: the argument has no minutely_control; the medium counts {handler.quota_rule}"
    return f"{100 * calls / job.minutely_control:.1f}% of one minute at {job.minutely_control} calls (minutely_control)"


def _url(handler: ApiHandler, base_url: str, unit: Unit) -> str:
    params = handler.params(unit)
    if handler.page_size:
        params = {**params, **handler.page(1)}
    url = handler.sign(base_url, unit, params, "TOKEN", Stamp(int(time.time()), "0")).url
    return re.sub(r"(?<=token=)[^&]*", MASK, url)


def _row_key(handler: ApiHandler, unit: Unit) -> str:
    """The unit's row key; what only a record knows stands in angle brackets."""
    known = unit.variant | {
        "date": compact(unit.date),
        "tenant": unit.tenant,
        "agent_id": unit.agent_id,
        "account_id": unit.account_id or "<account_id>",
        "salt": unit.account_id[-1:] or "<salt>",
    }
    return "|".join(known.get(field, f"<{field}>") for field in handler.row_key.fields)
