"""What of the views' rows counts, and what is wrong with the rest. No row that cannot be judged takes an agent away."""

import re
from collections.abc import Callable, Collection, Iterator
from decimal import Decimal
from typing import NamedTuple

from ark.accounts.members import LIMIT, is_agent
from ark.errors import InputDataError
from ark.job import CHILD, PARENT
from ark.job.argument import nearest, shown
from ark.tenants.rules import Rules
from ark.tenants.views import AgentRow, TenantRow, Views

_TENANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_NUMBER = re.compile(r"-?[0-9]{1,20}")
_ID = re.compile(r"[1-9][0-9]{0,15}")


class Agent(NamedTuple):
    """An agent of a tenant on a medium; `id` is text."""

    medium: str
    tenant: str
    id: str


class Judged(NamedTuple):
    """What the views say; tenants that are neither active nor ended have a status that cannot be judged."""

    active: frozenset[str]
    ended: frozenset[str]
    agents: dict[Agent, str]
    """The agents of active tenants that count, and their level, PARENT or CHILD."""
    unclear: frozenset[Agent]
    """Agents with a row that cannot be judged: whether they are in Redis or not, they stay so."""
    unclear_tenants: frozenset[str]
    faults: int
    """How many rows cannot be used."""


class UnfitError(Exception):
    """A row that cannot be used; the text names the column."""


def judge(views: Views, rules: Rules, levels: Collection[str], refused: Callable[[str], None]) -> Judged:
    """Who counts under `rules`; `levels` are the media that have two generations of agents.

    Each row that cannot be used is told to `refused`, in a line that names view, row and column and the way out; the
    rest goes on. Raises InputDataError where nothing usable is left: an empty answer never erases what is in Redis.
    """
    reader = _Reader(rules, levels, refused)
    for view, rows in (("ark_tenants", views.tenants), ("ark_agents", views.agents)):
        if not rows:
            raise InputDataError(f"{view} has no row: nothing is changed; correct the view (conf/tenants.sql)")
    reader.read_tenants(views.tenants)
    reader.read_agents(views.agents)
    judged = reader.judged()
    if not judged.active:
        raise InputDataError(
            f"no tenant in ark_tenants has status {_either(rules.counts.tenant_status)}: nothing is changed;"
            " correct the view (conf/tenants.sql), or what counts (conf/tenants.toml)"
        )
    if not judged.agents:
        raise InputDataError(
            "no agent in ark_agents is usable: of an active tenant, with"
            f" auth_status {_either(rules.counts.auth_status)} and auth_type {_either(rules.counts.auth_type)};"
            " nothing is changed: correct the view (conf/tenants.sql), or what counts (conf/tenants.toml)"
        )
    return judged


class _Reader:
    """Reads the rows one by one, tenants first."""

    def __init__(self, rules: Rules, levels: Collection[str], refused: Callable[[str], None]) -> None:
        self._rules, self._levels, self._refused = rules, levels, refused
        self._media = {platform: medium for medium, platform in rules.platforms.items()}
        self._tenants: dict[str, bool | None] = {}
        self._agents: dict[Agent, str] = {}
        self._unclear: set[Agent] = set()
        self._faults = 0

    def judged(self) -> Judged:
        """What was read."""
        by_verdict = {
            verdict: frozenset(tenant for tenant, found in self._tenants.items() if found is verdict)
            for verdict in (True, False, None)
        }
        unclear = frozenset(self._unclear - set(self._agents))
        return Judged(by_verdict[True], by_verdict[False], self._agents, unclear, by_verdict[None], self._faults)

    def read_tenants(self, rows: list[TenantRow]) -> None:
        """Who is active."""
        for number, row in enumerate(rows, 1):
            try:
                self._read_tenant(row)
            except UnfitError as unfit:
                self._tell(f"ark_tenants, row {number} ({_spelled(row[:1])})", unfit)

    def read_agents(self, rows: list[AgentRow]) -> None:
        """Which agents the active tenants have."""
        for number, row in enumerate(rows, 1):
            try:
                self._read_agent(row)
            except UnfitError as unfit:
                self._unclear.update(self._named(row))
                self._tell(f"ark_agents, row {number} ({_spelled(row[:3])})", unfit)

    def _read_tenant(self, row: TenantRow) -> None:
        tenant = _tenant(row.tenant_alias)
        known, twice = self._tenants.get(tenant), tenant in self._tenants
        try:
            active = _number("status", row.status) in self._rules.counts.tenant_status
        except UnfitError:
            self._tenants[tenant] = None
            raise
        self._tenants[tenant] = active if not twice or known is active else None
        if twice:
            raise UnfitError(f"tenant_alias {tenant} is there twice: leave one of them out of the view")

    def _read_agent(self, row: AgentRow) -> None:
        tenant = _tenant(row.tenant_alias)
        if tenant not in self._tenants:
            hint = nearest(tenant, self._tenants)
            raise UnfitError(f"tenant_alias {tenant} is not in ark_tenants{hint}: correct it, or add the tenant")
        if not self._tenants[tenant] or not self._counts(row):
            return
        agent = self._agent(tenant, row)
        level = self._level(agent, row.agent_level)
        if agent in self._agents:
            raise UnfitError(f"agent_id_from_platform {agent.id} is there twice: leave one of them out of the view")
        self._agents[agent] = level

    def _counts(self, row: AgentRow) -> bool:
        counts = self._rules.counts
        status, kind = _number("auth_status", row.auth_status), _number("auth_type", row.auth_type)
        return status in counts.auth_status and kind in counts.auth_type

    def _agent(self, tenant: str, row: AgentRow) -> Agent:
        platform = _number("platform_id", row.platform_id)
        if platform not in self._media:
            known = ", ".join(f"{number} {medium}" for number, medium in sorted(self._media.items()))
            raise UnfitError(f"platform_id is {platform}, known are {known}: leave such rows out of the view")
        return Agent(self._media[platform], tenant, _agent_id(row.agent_id_from_platform))

    def _level(self, agent: Agent, value: object) -> str:
        level = PARENT if value is None else value
        if level not in (PARENT, CHILD):
            raise UnfitError(f"agent_level is {shown(value)}: it must be parent, child or NULL")
        if level == CHILD and agent.medium not in self._levels:
            raise UnfitError(f"agent_level is child, but {agent.medium} has one generation of agents: make it NULL")
        return str(level)

    def _named(self, row: AgentRow) -> Iterator[Agent]:
        """The agent that an unfit row names, if it names one."""
        try:
            yield self._agent(_tenant(row.tenant_alias), row)
        except UnfitError:
            return

    def _tell(self, place: str, unfit: UnfitError) -> None:
        self._faults += 1
        self._refused(f"{place}: {unfit}")


def _tenant(value: object) -> str:
    if isinstance(value, str) and _TENANT.fullmatch(value):
        return value
    raise UnfitError(
        f"tenant_alias is {_shown(value)}: it must be letters, digits, '_' and '-', at most 64; correct it, or leave"
        " the row out"
    )


def _number(column: str, value: object) -> int:
    if isinstance(value, int | str | Decimal) and _NUMBER.fullmatch(_text(value)):
        return int(value)
    raise UnfitError(f"{column} is {_shown(value)}: it must be a whole number; correct it, or leave the row out")


def _agent_id(value: object) -> str:
    text = _text(value) if isinstance(value, int | str | Decimal) else ""
    if _ID.fullmatch(text) and is_agent(int(text)):
        return text
    raise UnfitError(
        f"agent_id_from_platform is {_shown(value)}: it must be a whole number from 1 to {LIMIT - 1}, since Redis"
        " scores keep no others exactly; correct it, or leave the row out"
    )


def _text(value: int | str | Decimal) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)


def _shown(value: object) -> str:
    if value is None:
        return "NULL"
    return shown(str(value) if isinstance(value, Decimal) else value)


def _spelled(values: tuple[object, ...]) -> str:
    """The values that tell a person which row it is."""
    return ", ".join(map(_shown, values))


def _either(values: list[int]) -> str:
    return " or ".join(map(str, values))
