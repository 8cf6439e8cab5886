"""`ark simulate`: the media's side on loopback, to try things out; and Redis filled to fit."""

import asyncio
import importlib
import os
import sys
from datetime import date, timedelta
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ark.accounts.keys import Keys
from ark.clock import today
from ark.errors import ConfigError
from ark.settings import Settings

if TYPE_CHECKING:
    from ark.accounts.directory import Directory

SIMULATOR = "media.simulator"
"""Named, not imported: handlers stand below media."""

ACCOUNTS_AT_ONCE = 10_000
ACCOUNTS = ("accounts", "child_accounts")
CHILDREN = "child_agents"


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Default: a free one; the first line tells it.")
@click.option(
    "--scenario",
    type=click.Path(dir_okay=False, path_type=Path),
    help="TOML; default: some small agents of each medium.",
)
@click.option("--fill-redis", is_flag=True, help="First write the scenario's tokens, agents and accounts into Redis.")
@click.pass_obj
def simulate(settings: Settings, port: int, scenario: Path | None, *, fill_redis: bool) -> None:
    """Serve the media's APIs on 127.0.0.1 until a signal ends it.

    The first line on stdout tells where. /_sim/stats counts, /_sim/truth tells what is served.

    \b
    ark simulate --port 8155 --fill-redis &
    ARK_GDT_URL=http://127.0.0.1:8155 ark run gdt.funds -t T100117 -g AGENT --all
    """
    if fill_redis:
        asyncio.run(_fill(settings, _loaded(scenario)))
    options = ["--port", str(port), *(["--scenario", str(scenario)] if scenario else [])]
    sys.stdout.flush()
    sys.stderr.flush()
    # No child: whoever ends this process ends the simulator.
    os.execv(sys.executable, [sys.executable, "-m", SIMULATOR, *options])  # noqa: S606 -- our own interpreter


def _loaded(path: Path | None) -> Any:  # noqa: ANN401 -- the simulator's scenario, see SIMULATOR
    scenario = importlib.import_module(f"{SIMULATOR}.scenario")
    try:
        return scenario.Scenario.load(path) if path else scenario.Scenario()
    except ValueError as error:
        raise ConfigError(str(error)) from error


async def _fill(settings: Settings, scenario: Any) -> None:  # noqa: ANN401 -- as above
    """Put every list of the scenario in place of what Redis knew about its agents."""
    from ark.accounts.directory import connect

    try:
        lists = list(importlib.import_module(f"{SIMULATOR}.lists").lists(scenario))
    except ValueError as error:
        raise ConfigError(f"scenario: {error}") from error
    days = [date.fromisoformat(day) for day in scenario.dates] or [today() - timedelta(days=1), today()]
    directory = await connect(settings)
    try:
        await _forget_children(directory, days[0], lists)
        for listed in lists:
            if listed.name in ACCOUNTS:
                await _put_accounts(directory, days, listed)
            else:
                key = getattr(Keys.of(listed.medium, listed.tenant, days[0], listed.agent), listed.name)
                await _put(directory, key, listed)
    finally:
        await directory.aclose()


async def _forget_children(directory: "Directory", day: date, lists: list[Any]) -> None:
    """Who was a second-generation agent of whom: several members stand under one score."""
    for listed in lists:
        if listed.name == CHILDREN:
            key = getattr(Keys.of(listed.medium, listed.tenant, day, listed.agent), CHILDREN)
            with directory.translated("ZREMRANGEBYSCORE", key):
                await directory.client.zremrangebyscore(key, int(listed.score), int(listed.score))


async def _put(directory: "Directory", key: str, listed: Any) -> None:  # noqa: ANN401 -- as above
    score = int(listed.score)
    with directory.translated("ZADD", key):
        async with directory.client.pipeline() as pipe:
            if listed.name != CHILDREN:
                pipe.zremrangebyscore(key, score, score)
            pipe.zadd(key, dict.fromkeys(listed.members, score))
            await pipe.execute()


async def _put_accounts(directory: "Directory", days: list[date], listed: Any) -> None:  # noqa: ANN401 -- as above
    from ark.accounts.account_list import AccountList

    keys = [getattr(Keys.of(listed.medium, listed.tenant, day, listed.agent), listed.name) for day in days]
    drafts = [AccountList(directory, key, listed.agent) for key in keys]
    size = 0
    while chunk := list(islice(listed.members, ACCOUNTS_AT_ONCE)):
        size += len(chunk)
        for accounts in drafts:
            await accounts.add(chunk)
    for key, accounts in zip(keys, drafts, strict=True):
        if size:
            taken = await accounts.publish()
            if taken:
                click.echo(f"{key}: {', '.join(taken)} stay with another agent", err=True)
        else:
            with directory.translated("ZREMRANGEBYSCORE", key):
                await directory.client.zremrangebyscore(key, int(listed.score), int(listed.score))
    dates = ", ".join(map(str, days))
    click.echo(f"{listed.medium} {listed.tenant} agent {listed.agent}: {size} accounts of {dates}", err=True)
