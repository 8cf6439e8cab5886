"""`ark simulate`: the media's side on loopback, to try things out; and Redis filled to fit."""

import asyncio
import importlib
import os
import sys
from datetime import date, timedelta
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


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Default: a free one; the first line tells it.")
@click.option("--scenario", type=click.Path(dir_okay=False, path_type=Path), help="TOML; default: three small agents.")
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
    """Put every agent of the scenario in place of what Redis knew about it."""
    from ark.accounts.directory import connect

    try:
        worlds = importlib.import_module(f"{SIMULATOR}.world").worlds(scenario)
    except ValueError as error:
        raise ConfigError(f"scenario: {error}") from error
    days = [date.fromisoformat(day) for day in scenario.dates] or [today() - timedelta(days=1), today()]
    directory = await connect(settings)
    try:
        for medium, world in worlds.items():
            for agent in world.agents:
                for day in days:
                    keys = Keys.of(medium, agent.tenant, day, agent.id)
                    await _put_agent(directory, keys, agent)
                    await _put_accounts(directory, keys, world, agent)
                dates = ", ".join(map(str, days))
                click.echo(f"{medium} {agent.tenant} agent {agent.id}: {agent.size} accounts of {dates}", err=True)
    finally:
        await directory.aclose()


async def _put_agent(directory: "Directory", keys: Keys, agent: Any) -> None:  # noqa: ANN401 -- as above
    score = int(agent.id)
    with directory.translated("ZADD", keys.tokens):
        async with directory.client.pipeline() as pipe:
            for key, member in ((keys.tokens, agent.token), (keys.agents, agent.id)):
                pipe.zremrangebyscore(key, score, score)
                pipe.zadd(key, {member: score})
            await pipe.execute()


async def _put_accounts(directory: "Directory", keys: Keys, world: Any, agent: Any) -> None:  # noqa: ANN401 -- as above
    if not agent.size:
        with directory.translated("ZREMRANGEBYSCORE", keys.accounts):
            await directory.client.zremrangebyscore(keys.accounts, int(agent.id), int(agent.id))
        return
    from ark.accounts.account_list import AccountList

    accounts = AccountList(directory, keys.accounts, agent.id)
    for start in range(0, agent.size, ACCOUNTS_AT_ONCE):
        await accounts.add(list(world.accounts(agent, start, start + ACCOUNTS_AT_ONCE)))
    taken = await accounts.publish()
    if taken:
        click.echo(f"{keys.accounts}: {', '.join(taken)} stay with another agent", err=True)
