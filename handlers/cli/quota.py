"""`ark quota`: what is left of the quotas, how fast it goes, and who uses it."""

import asyncio
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING

import click
import msgspec

from ark.clock import now
from ark.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from rich.table import Table

    from handlers.quotas import QuotaView, User

EVERY = 1.0
"""Seconds between two looks."""
COLUMNS = ("medium", "app", "endpoint", "day left", "minute left", "quota", "pace", "refused", "by")
NOTHING = "nothing has used a quota in the last day: runs tell here what they measure"


@click.command()
@click.option("--watch", is_flag=True, help="Look again every second, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="One JSON list; with --watch one a second, each on a line.")
@click.pass_obj
def quota(settings: Settings, *, watch: bool, as_json: bool) -> None:
    """Show the quotas that runs share through Redis: what is left, as measured, the pace, refusals, who uses them.

    One line per medium, app and endpoint, and below it one per process that uses it, or did in the last hour. No
    medium is called.

    \b
    ark quota
    ark quota --watch
    ark quota --json
    """
    from ark.observers import logs

    if watch:
        logs.configure("error", None)  # what keeps us from looking is told once, as our own error
    try:
        asyncio.run(_shown(settings, EVERY if watch else None, as_json=as_json))
    except OSError:  # whoever read our output has left
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


async def _shown(settings: Settings, every: float | None, *, as_json: bool) -> None:
    from handlers.quotas import watched

    async with aclosing(watched(settings, every)) as looks:
        if as_json:
            async for views in looks:
                click.echo(msgspec.json.encode(views))
        elif sys.stdout.isatty():
            await _live(looks, repeated=every is not None)
        else:
            async for views in looks:
                click.echo("\n".join(_block(views, every)))


async def _live(looks: "AsyncIterator[list[QuotaView]]", *, repeated: bool) -> None:
    """A table; one that is looked at again stays where it is."""
    from rich.console import Console
    from rich.live import Live

    console = Console()
    if not repeated:
        async for views in looks:
            console.print(_table(views) if views else NOTHING, markup=False)
        return
    # no thread of its own: what it raises there when the terminal has gone, nobody could catch
    with Live(console=console, auto_refresh=False) as live:
        async for views in looks:
            live.update(_table(views), refresh=True)


def _table(views: Sequence["QuotaView"]) -> "Table":
    from rich.table import Column, Table
    from rich.text import Text

    columns = [Column(name, overflow="fold") for name in COLUMNS]  # cutting would cut the ids that are to be copied
    table = Table(*columns, box=None, pad_edge=False, title=_time(), caption=None if views else NOTHING)
    for view in views:
        table.add_row(*map(Text, _cells(view)), style="bold red" if view.refused or view.spent else "bold")
        for user in _living(view):
            table.add_row(*map(Text, _user(user)), style="red" if user.refused else None)
    return table


def _block(views: Sequence["QuotaView"], every: float | None) -> Iterator[str]:
    """Plain lines; where they come again and again, each block begins with the time."""
    if every is not None:
        yield _time()
    if not views:
        yield NOTHING
    for view in views:
        yield "\t".join(_cells(view))
        yield from ("\t".join(_user(user)) for user in _living(view))


def _cells(view: "QuotaView") -> list[str]:
    """What COLUMNS name, of one quota."""
    left = "" if view.day_left is None else f" = {view.day_left:,}"
    gone = len(view.users) - len(_living(view))
    by = f"{len(_living(view))} processes" + (f", {gone} gone in the last hour" if gone else "")
    return [
        view.medium,
        view.app or "-",
        view.path,
        "?" if view.day is None else f"{view.day:g}%{left}",
        "?" if view.minute is None else f"{view.minute:g}%",
        "?" if view.quota is None else f"{view.quota:,.0f} in {view.window:g} s",
        f"{view.pace:.1f}/s",
        f"{view.refused:,}",
        f"{by}; {view.spent}" if view.spent else by,
    ]


def _user(user: "User") -> list[str]:
    """The same of one process: its job in place of the endpoint, its share and calls in place of the quota."""
    job = " ".join(filter(None, (user.job or user.interface, user.tenant, user.agent)))
    share = f"{user.share:.0f}% of it, {user.sent:,} sent" if user.share else f"no share yet, {user.sent:,} sent"
    by = f"{user.run or '-'} {user.host}:{user.pid}"
    return ["", "", job, "", "", share, f"{user.pace:.1f}/s", f"{user.refused:,}", by]


def _living(view: "QuotaView") -> list["User"]:
    return [user for user in view.users if user.lives]


def _time() -> str:
    return f"{now():%Y-%m-%d %H:%M:%S} (Shanghai)"
