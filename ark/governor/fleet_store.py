"""A fleet's state in Redis: who holds which share, what they report, what the next ones may start from.

    ark:quota:leases:SCOPE    hash   worker -> "joined expires rank of quota pace used"; and `:seq`, `:quota`
    ark:quota:reports:SCOPE   hash   worker -> "seen JSON": the last report, for an hour also of those that are gone
    ark:quota:refused:SCOPE   hash   minute -> refusals in it
    ark:quota:hint:SCOPE      hash   what is kept for the next run, and the percents told last
    ark:quota:scopes          zset   scope, by when it was used last

Times in there are milliseconds by the clock of Redis: the machines' own clocks need not agree. All of it expires.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import structlog

from ark.errors import ArkError, ServiceDownError
from ark.governor.fleet_reports import Kept, Look, Member, Report
from ark.governor.fleet_scripts import LOOK, RENEW, SERVER_TIME, WORDS
from ark.redact import redact_error

if TYPE_CHECKING:
    from ark.accounts.directory import Directory

log = structlog.get_logger(__name__)

PATIENCE = 2.0
"""Seconds in which Redis has to answer."""
KEPT = 36 * 3600
"""Seconds that hints are kept: what runs once a day finds those of yesterday."""
HISTORY = 3600
"""Seconds for which those that are gone are shown, and refusals counted."""
REPORTS = 200
"""Reports of a scope from which on those of the gone are dropped earlier."""
SCOPES = "ark:quota:scopes"

Value = str | int | bytes
Script = Callable[[Sequence[bytes], Sequence[Value]], Awaitable[Any]]


class Lease(NamedTuple):
    """What a renewal answers."""

    rank: int
    of: int
    """0: no share yet."""
    members: int
    quota: float
    """Calls per window of all together, as far as is known; 0.0: unknown."""
    pace: float
    """Calls per second of all together."""
    kind: str = ""
    """How the quota is refilled, as the first process found; empty: unknown."""
    boundary: float = 0.0
    """When a fixed window began, unix seconds; 0.0: unknown."""


class FleetStore:
    """The scripts, for all scopes of one process. What Redis does not answer in PATIENCE is a ServiceDownError.

    That Redis does not answer, and that it does again, is logged once. `time` is for tests.
    """

    faulty = False
    """Whether a fault of ours was logged."""

    def __init__(self, directory: "Directory", time: str = SERVER_TIME) -> None:
        self._directory = directory
        self._renew = directory.client.register_script(time + WORDS + RENEW)
        self._look = directory.client.register_script(time + WORDS + LOOK)
        self._away = False

    async def renew(
        self,
        scope: str,
        worker: str,
        report: Report,
        *,
        ttl: float,
        window: float,
        moved: bool = True,
        refusals: int = 0,
        kind: str = "",
        boundary: float = 0.0,
    ) -> Lease:
        """Report, and take or renew this worker's lease for `ttl` seconds; 0.0: leave.

        `moved`: calls were sent since the last report; `refusals`: how many since then; `kind`: how the quota is
        refilled; `boundary`: when a window began, unix seconds. Empty and 0.0 where that is unknown.
        """
        numbers = (report.quota, report.pace, report.day_quota, boundary)
        percents = ["" if percent is None else repr(percent) for percent in (report.day, report.minute)]
        values: list[Value] = [
            *(_encoded(scope), worker, int(ttl * 1000), int(window * 1000)),
            *(repr(float(number)) for number in numbers),
            *(int(moved), refusals),
            *percents,
            *(msgspec.json.encode(report), KEPT, HISTORY, REPORTS, kind, int(report.firm)),
        ]
        answer = await self._ask(self._renew, [*_keys(scope), SCOPES.encode()], values)
        rank, of, members, quota, pace, kind_there, began = answer
        return Lease(int(rank), int(of), int(members), float(quota), float(pace), kind_there.decode(), float(began))

    async def kept(self, scope: str) -> Kept | None:
        """What the scope's processes left for the next; None: nothing."""
        return (await self.look(scope)).kept

    async def scopes(self) -> list[str]:
        """The scopes that were used within KEPT, by name."""
        with self._directory.translated("ZRANGE", SCOPES):
            found: list[bytes] = await self._within(self._directory.client.zrange(SCOPES, 0, -1))
        return sorted(name.decode(errors="replace") for name in found)

    async def look(self, scope: str) -> Look:
        """One scope as it is now; one that nobody used is empty."""
        now, leases, reports, refused, hint = await self._ask(self._look, _keys(scope), [])
        return _seen(scope, int(now), _pairs(leases), _pairs(reports), _pairs(refused), _pairs(hint))

    async def _ask(self, script: Script, keys: list[bytes], values: Sequence[Value]) -> Any:  # noqa: ANN401  # what a script answers
        try:
            with self._directory.translated("EVALSHA", keys[0].decode(errors="replace")):
                answer = await self._within(script(keys, values))
        except ArkError as error:
            if not self._away:
                self._away = True
                log.warning("no shares of the quota from Redis: each keeps what it has", error=redact_error(error))
            raise
        if self._away:
            self._away = False
            log.info("Redis shares the quota again")
        return answer

    def note(self, error: Exception) -> None:
        """A caller goes on in spite of `error`: what is not told yet is logged, once."""
        if not isinstance(error, ArkError) and not self.faulty:
            self.faulty = True
            log.warning("a fault in sharing the quota: each keeps what it has", error=redact_error(error))

    async def _within(self, answer: Any) -> Any:  # noqa: ANN401  # the client's annotations mix its two kinds of answers
        try:
            async with asyncio.timeout(PATIENCE):
                return await answer
        except TimeoutError:
            raise ServiceDownError(f"Redis at {self._directory.place} does not answer within {PATIENCE:g} s") from None


def _encoded(scope: str) -> bytes:
    return scope.encode(errors="backslashreplace")


def _keys(scope: str) -> list[bytes]:
    return [b"ark:quota:%b:" % kind + _encoded(scope) for kind in (b"leases", b"reports", b"refused", b"hint")]


def _pairs(flat: Sequence[bytes]) -> dict[str, bytes]:
    return {name.decode(): value for name, value in zip(flat[::2], flat[1::2], strict=True)}


def _seen(
    scope: str,
    now: int,
    leases: Mapping[str, bytes],
    reports: Mapping[str, bytes],
    refused: Mapping[str, bytes],
    hint: Mapping[str, bytes],
) -> Look:
    living = []
    gone = []
    for worker, line in reports.items():
        seen, _, text = line.partition(b" ")
        report, age = msgspec.json.decode(text, type=Report), (now - int(seen)) / 1000
        joined, expires, rank, of, *_ = (*map(float, leases.get(worker, b"").split()), 0.0, 0.0, 0.0, 0.0)
        if expires > now:
            living.append((joined, Member(worker, report, age, True, int(rank), int(of))))
        else:
            gone.append((age, Member(worker, report, age, False)))
    kind = hint.get("kind", b"").decode()
    numbers = {name: float(value) for name, value in hint.items() if name != "kind"}
    if numbers.get("day_quota_at", 0.0) <= now - KEPT * 1000:
        numbers["day_quota"] = 0.0
    kept_at = numbers.get("kept_at", 0.0) / 1000
    figures = {name: numbers.get(name, 0.0) for name in Kept._fields if name != "kind"}
    kept = Kept(**figures | {"kept_at": kept_at}, kind=kind) if kept_at else None
    hour = now // 60_000 - HISTORY // 60
    return Look(
        scope,
        tuple(member for _, member in (*sorted(living), *sorted(gone))),
        kept,
        sum(int(count) for minute, count in refused.items() if int(minute) > hour),
        numbers.get("day"),
        numbers.get("minute"),
        numbers.get("told_at", 0.0) / 1000,
        now / 1000,
    )
