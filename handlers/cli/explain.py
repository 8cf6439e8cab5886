"""`ark explain`: one account, and everything that is known of it."""

import asyncio
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click
import msgspec

from ark.errors import EmptyListError, UsageError
from ark.settings import Settings
from handlers.cli.job import day_of, tenant_of
from handlers.cli.telling import answer, say

if TYPE_CHECKING:
    from handlers.explain import Became, Called, Explanation

SHOWN = 20
"""Lists that are named one by one where the account is in none of them."""


@click.command()
@click.argument("account")
@click.option("-t", "--tenant", metavar="TENANT", help="Tenant, e.g. T100117; default: run.tenant.")
@click.option("-d", "--date", metavar="DATE", help="Date of the data; default: today in Asia/Shanghai.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@click.pass_obj
def explain(settings: Settings, account: str, tenant: str | None, date: str | None, *, as_json: bool) -> int:
    """Show what is called for ACCOUNT: from which lists, with whose token, under which keys, and what became of it.

    No medium is called and no token is shown. Exit 3 where no account list of the tenant and date has it.

    \b
    ark explain 178485633 -t T100117 -d 2020-05-30
    ark explain 178485633 -t T100117 -d 2020-05-30 --json
    """
    from handlers.explain import Subject
    from handlers.explain import explain as explained

    if not re.fullmatch("[0-9]{1,32}", account):
        raise UsageError(f"account {account!r} is no id: it is digits in all three media, such as 178485633")
    subject = Subject(account, tenant_of(settings, tenant), day_of(date))
    known = asyncio.run(explained(settings, subject))
    if as_json:
        answer(msgspec.json.encode(known))
    else:
        for line in _lines(known):
            answer(line)
    return 0 if known.found else _nowhere(known)


def _lines(known: "Explanation") -> Iterator[str]:
    for each in known.found:
        yield f"{'list':<9} {each.key}: {each.section} {each.list}, agent {each.agent}"
    for token in dict.fromkeys(call.token for call in known.calls):
        there = "present" if token.present else f"MISSING: {token.why}"
        yield f"{'token':<9} of {token.of} in {token.key}: {there}"
    for call in known.calls:
        yield from _call(call)
    for other in known.ledger:
        yield f"{'ledger':<9} {_became(other)}"


def _call(call: "Called") -> Iterator[str]:
    yield call.interface
    yield f"  {'starts':<7} {', '.join(call.starts)}"
    yield f"  {'agent':<7} {call.agent}, with the token of {call.token.of}{'' if call.token.present else ', MISSING'}"
    yield f"  {'call':<7} {call.url}"
    yield f"  {'table':<7} {call.table}"
    for key in call.row_keys:
        yield f"  {'row_key':<7} {key}"
    for each in call.became:
        yield f"  {'became':<7} {_became(each)}"
    if not call.became:
        yield f"  {'became':<7} nothing: no run of this date has it"


def _became(each: "Became") -> str:
    of = f"{each.variant}: " if each.variant else ""
    reason = f": {each.reason}" if each.reason else ""
    return f"{of}{each.state} in {each.run_id} ({each.run_status}), {each.rows} rows, {each.requests} calls{reason}"


def _nowhere(known: "Explanation") -> int:
    """Where it was looked, and what to do."""
    for looked in known.looked[:SHOWN]:
        say(f"not in {looked.key}, {'which has ' + format(looked.members, ',') if looked.members else 'absent'}")
    if len(known.looked) > SHOWN:
        say(f"nor in {len(known.looked) - SHOWN} more lists: --json names them")
    for each in known.earlier:
        say(f"but in {each.key}, agent {each.agent}")
    way_out = "run the list job that fills them, or check account, tenant and date"
    say(f"ark: account {known.account} is in no account list of {known.tenant} on {known.date}: {way_out}")
    return EmptyListError.exit_code
