"""`ark tokens`: renew the tokens of agents."""

import asyncio
import re
import signal
from contextlib import aclosing

import click
import msgspec

from ark.errors import LaterError, LocalDiskError, ServiceDownError, StoppedError, TokenError, UsageError
from ark.redact import redact
from ark.settings import DIALECTS, Settings
from handlers.cli.telling import answer
from handlers.refresh import Renewed, Target, check, refresh

TENANT = re.compile("[A-Za-z0-9_-]{1,64}")
FIRST = [kind.exit_code for kind in (TokenError, LaterError, ServiceDownError, LocalDiskError)]
"""The exit codes of single agents; of several the first one here is that of the process."""


@click.group()
def tokens() -> None:
    """Renew the tokens of agents."""


@tokens.command(name="refresh")
@click.option("-m", "--medium", type=click.Choice(DIALECTS), required=True, help="The medium.")
@click.option("-t", "--tenant", help="The tenant; default: run.tenant.")
@click.option("-g", "--agent", default="", help="Only this agent; default: all that have a refresh token.")
@click.option("--json", "as_json", is_flag=True, help='One list: [{"agent", "state", "reason"}].')
@click.pass_context
def refresh_(context: click.Context, medium: str, tenant: str | None, agent: str, *, as_json: bool) -> None:
    """Have the medium issue new tokens for a tenant's agents, and put them into Redis.

    One line per agent: renewed, or failed and why. Exit 0; 77 where one was refused, 75 where another process is at
    it, 69 where a service is down.

    \b
    ark tokens refresh -m gdt -t T100117
    ark tokens refresh -m jrtt -t T100117 -g 3367268016 --json
    """
    from ark.accounts.keys import Keys
    from ark.clock import today
    from ark.observers import logs

    settings: Settings = context.obj
    tenant = tenant or settings.run.tenant
    if not TENANT.fullmatch(tenant):
        raise UsageError(f"tenant {tenant!r}: give -t TENANT (letters, digits, '_' or '-'), or set ARK_RUN_TENANT")
    keys = Keys.of(medium, tenant, today(), agent)
    check(settings, medium, keys)
    logs.configure("info", settings.home / "log" / medium / f"tokens_{tenant}.log")
    done = _run(settings, Target(medium, tenant, keys), agent, silent=as_json)
    if as_json:
        answer(msgspec.json.encode([_fields(each) for each in done]))
    codes = {each.error.exit_code for each in done if each.error}
    context.exit(min(codes, key=FIRST.index) if codes else 0)


def _run(settings: Settings, target: Target, agent: str, *, silent: bool) -> list[Renewed]:
    """A SIGTERM lets the call under way come to its end: its answer comes only once."""
    from ark.accounts.directory import connect

    def tell(renewed: Renewed) -> None:
        if not silent:
            answer("\t".join(filter(None, _fields(renewed).values())))

    async def work() -> list[Renewed]:
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        async with aclosing(await connect(settings)) as directory:
            return await refresh(settings, target, directory, agent, tell)

    try:
        return asyncio.run(work())
    except asyncio.CancelledError:
        raise StoppedError(signal.SIGTERM) from None


def _fields(renewed: Renewed) -> dict[str, str]:
    reason = " ".join(redact(str(renewed.error or "")).split())
    return {"agent": renewed.agent, "state": "failed" if renewed.error else "renewed", "reason": reason}
