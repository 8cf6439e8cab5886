"""`ark quota`: what is left of each quota, how fast it is used, and by whom; from what runs keep in Redis."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import datetime

import msgspec

from ark.accounts.directory import connect
from ark.clock import SHANGHAI
from ark.governor.fleet import Clock, Fleets, Look, Member
from ark.settings import DIALECTS, Settings
from handlers.allowances import day_percent, estimate
from handlers.registry import find, names
from handlers.scopes import Scope, read_scope


class User(msgspec.Struct, frozen=True, kw_only=True):
    """A process that uses a quota, or did in the last hour."""

    run: str
    host: str
    pid: int
    interface: str
    tenant: str
    agent: str
    job: str
    share: float
    """Percent of the quota that is its own; 0.0: none yet, or no longer."""
    pace: float
    """Calls per second."""
    sent: int
    refused: int
    """In the last hour."""
    in_flight: int
    spent: str
    """Why it sends nothing more today; empty: it does."""
    lives: bool
    age: float
    """Seconds since it was last heard of."""


class QuotaView(msgspec.Struct, frozen=True, kw_only=True):
    """One quota, of (medium, app, interface). Percents are what is left; None: not told, or too long ago."""

    medium: str
    app: str
    """Client id; empty where none is set."""
    host: str
    path: str
    interfaces: list[str]
    """All whose calls the medium counts together."""
    day: float | None
    minute: float | None
    told_at: datetime | None
    """When the medium told them last."""
    quota: float | None
    """Calls per window, as measured."""
    window: float
    """Seconds."""
    day_quota: float | None
    day_left: int | None
    """Calls."""
    pace: float
    """Calls per second, of all that use it."""
    refused: int
    """In the last hour."""
    spent: str
    users: list[User]


class Quotas:
    """Looks at all quotas, again and again over one connection."""

    def __init__(self, fleets: Fleets, settings: Settings) -> None:
        self._fleets, self._settings = fleets, settings
        self._interfaces = {(find(name).section, find(name).path): list[str]() for name in names()}
        for name in names():
            self._interfaces[find(name).section, find(name).path].append(name)

    async def look(self) -> list[QuotaView]:
        """Every quota that was used of late, by medium and path. Raises ServiceDownError where Redis is away."""
        views = [self._view(read_scope(look.scope), look) for look in await self._fleets.looks()]
        return sorted(views, key=lambda view: (view.medium, view.host, view.path, view.app))

    def _view(self, scope: Scope, look: Look) -> QuotaView:
        window = getattr(self._settings, scope.section).window if scope.section in DIALECTS else 60.0
        users = [_user(member) for member in look.members]
        day, quota = day_percent(look), estimate(look)
        known = max(sum(each.report.day_quota for each in look.living), look.kept.day_quota if look.kept else 0.0)
        return QuotaView(
            medium=scope.section.partition("_")[0],
            app=scope.app,
            host=scope.host,
            path=scope.path,
            interfaces=self._interfaces.get((scope.section, scope.path), []),
            day=day,
            minute=look.minute if look.at - look.told_at <= window else None,
            told_at=datetime.fromtimestamp(look.told_at, SHANGHAI) if look.told_at else None,
            quota=quota or None,
            window=window,
            day_quota=known or None,
            day_left=int(known * day / 100) if known and day is not None else None,
            pace=look.pace,
            refused=look.refusals,
            spent=next((each.spent for each in users if each.lives and each.spent), ""),
            users=users,
        )


def _user(member: Member) -> User:
    who, report = member.report.who, member.report
    return User(
        run=who.run,
        host=who.host,
        pid=who.pid,
        interface=who.interface,
        tenant=who.tenant,
        agent=who.agent,
        job=who.job,
        share=100 * member.share if member.lives else 0.0,
        pace=report.pace if member.lives else 0.0,
        sent=report.sent,
        refused=report.refused,
        in_flight=report.in_flight if member.lives else 0,
        spent=report.spent,
        lives=member.lives,
        age=round(member.age, 1),
    )


async def watched(settings: Settings, every: float | None) -> AsyncGenerator[list[QuotaView]]:
    """All quotas, once, or again `every` so many seconds. Raises ServiceDownError where Redis is away."""
    async with aclosing(await connect(settings)) as directory:
        clock = Clock(asyncio.get_running_loop().time, time.time)
        quotas = Quotas(Fleets(directory, clock), settings)
        yield await quotas.look()
        while every is not None:
            await asyncio.sleep(every)
            yield await quotas.look()
