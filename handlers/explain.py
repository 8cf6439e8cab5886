"""`ark explain`: what would be called for one account, with whose token, and what has become of it."""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import NamedTuple

import msgspec

from ark.accounts.directory import Directory, connect
from ark.accounts.keys import Keys
from ark.accounts.lookup import places
from ark.errors import EmptyListError, TokenError
from ark.ledger.history import FOLDED, Fate, History, open_history
from ark.settings import DIALECTS, Settings
from ark.units import Unit, spell
from handlers.agents import Agent, applies
from handlers.api import ApiHandler
from handlers.dry_run import masked_url, row_key
from handlers.interface_docs import spans
from handlers.jobs import Jobs, load_jobs
from handlers.registry import find, make, names

LISTS = ("accounts", "child_accounts", "agents", "all_agents", "child_agents")
DAYS_BEFORE = 7
"""Dates before that are looked at where an account is in no list."""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A list in Redis that the account is in; `agent` is its score there, `members` how many the list has."""

    section: str
    list: str
    key: str
    agent: str
    members: int
    date: dt.date


class Looked(msgspec.Struct, frozen=True, kw_only=True):
    """A list that it is not in."""

    key: str
    members: int


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """Whose token opens a call; `why`: what is wrong where there is none."""

    key: str
    of: str
    present: bool
    why: str = ""


class Became(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one unit the last time."""

    variant: str
    state: str
    run_id: str
    run_status: str
    reason: str
    rows: int
    requests: int
    code: int | None


class Called(msgspec.Struct, frozen=True, kw_only=True):
    """One interface that works on the account, or on it as an agent."""

    interface: str
    agent: str
    starts: list[str]
    """What starts it."""
    path: str
    url: str
    table: str
    row_keys: list[str]
    """One per variant; what only a record knows stands in angle brackets."""
    variants: list[str]
    token: Token
    became: list[Became]


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known of one account and date."""

    account: str
    tenant: str
    date: dt.date
    found: list[Found]
    looked: list[Looked]
    earlier: list[Found]
    """Where it is in no list of the date: lists of the days before that it is in."""
    calls: list[Called]
    ledger: list[Became]
    """What became of it in runs of interfaces or agents that are not among the calls."""


class Subject(NamedTuple):
    """Whose explanation it is."""

    account: str
    tenant: str
    day: dt.date


async def explain(settings: Settings, subject: Subject) -> Explanation:
    """Look everywhere for an account; raises where Redis or the ledger is away."""
    directory = await connect(settings)
    try:
        found, looked = await _everywhere(directory, subject)
        before = [] if found else [subject._replace(day=day) for day in _days_before(subject.day)]
        earlier = [each for day in before for each in (await _everywhere(directory, day))[0]]
        tokens = _Tokens(directory, subject)
        with open_history(settings) as history:
            fates = _Fates(history, subject, sorted({each.agent for each in found}))
        jobs = load_jobs(names())
        calls = [
            await _called(make(name, settings), subject, each.agent, jobs, tokens, fates)
            for name, each in _interfaces(found, subject.account)
        ]
    finally:
        await directory.aclose()
    return Explanation(
        account=subject.account,
        tenant=subject.tenant,
        date=subject.day,
        found=found,
        looked=looked,
        earlier=earlier,
        calls=calls,
        ledger=fates.others(),
    )


async def _everywhere(directory: Directory, subject: Subject) -> tuple[list[Found], list[Looked]]:
    """The lists of all media that the account is in, and those that it is not in."""
    found: list[Found] = []
    looked: dict[str, Looked] = {}
    for section in DIALECTS:
        lists = await _lists(directory, section, subject)
        for place in await places(directory, lists, subject.account):
            if place.score is None:
                looked[place.key] = Looked(key=place.key, members=place.size)
                continue
            of_list = Found(
                section=section,
                list=lists[place.key],
                key=place.key,
                agent=place.agent or f"none: its score is {place.score!r}",
                members=place.size,
                date=subject.day,
            )
            found.append(of_list)
    return found, list(looked.values())


async def _lists(directory: Directory, section: str, subject: Subject) -> dict[str, str]:
    """Redis key -> which list it is; where a key is one agent's own, those of all the tenant's agents."""
    of_agent = partial(Keys.of, section, subject.tenant, subject.day)
    plain = of_agent("")
    agents = [""]
    if of_agent("1") != of_agent("2"):
        with suppress(EmptyListError):
            agents = await directory.agents(plain.agents, lambda _: None)
    keys = {getattr(of_agent(agent), name): name for name in LISTS for agent in agents}
    return {key: name for key, name in keys.items() if key}


def _days_before(day: dt.date) -> Iterator[dt.date]:
    return (day - dt.timedelta(days=back) for back in range(1, DAYS_BEFORE + 1))


def _interfaces(found: Sequence[Found], account: str) -> Iterator[tuple[str, Found]]:
    """The interfaces that work on a list that the account is in, or on it as on an agent; each once per agent."""
    seen = set[tuple[str, str]]()
    first = {each.section for each in found if each.list == "agents"}
    for each in found:
        second = each.list in {"all_agents", "child_agents"} and each.section not in first
        for name in names():
            handler = find(name)
            if handler.section != each.section or not each.agent.isdigit():
                continue
            of = each
            if handler.by == "agent":
                itself = Agent(each.section, account, child=second)
                if not (second or each.list == "agents") or not applies(handler, itself):
                    continue
                of = msgspec.structs.replace(each, agent=account)
            elif {"child_accounts": "accounts"}.get(each.list, each.list) != handler.works_on:
                continue
            if (name, of.agent) not in seen:
                seen.add((name, of.agent))
                yield name, of


async def _called(
    handler: ApiHandler, subject: Subject, agent: str, jobs: Jobs, tokens: "_Tokens", fates: "_Fates"
) -> Called:
    account, tenant, day = subject
    if handler.by == "agent":
        account = ""
    variants = list(handler.variant_values())
    units = [Unit(tenant, day, agent, account, variant) for variant in variants]
    asked = units[0] if handler.batch == 1 else units[0]._replace(account_id="", accounts=(account,))
    return Called(
        interface=handler.name(),
        agent=agent,
        starts=list(_starts(jobs, handler.name())),
        path=handler.path,
        url=masked_url(handler, asked),
        table=handler.table,
        row_keys=[row_key(handler, unit) for unit in units],
        variants=[spell(variant) for variant in variants],
        token=await tokens.of(handler, account, agent),
        became=fates.of(handler.name(), agent, [spell(variant) for variant in variants]),
    )


def _starts(jobs: Jobs, name: str) -> Iterator[str]:
    yield from spans(jobs.scheduled(name))
    yield from (f"after {each}" for each in names() if name in jobs.followers(each))
    if name in jobs.alone:
        yield f"nothing: {jobs.alone[name]}"


class _Tokens:
    """Whose token there is, read once."""

    def __init__(self, directory: Directory, subject: Subject) -> None:
        self._directory, self._subject = directory, subject
        self._known: dict[tuple[str, str, str], Token] = {}

    async def of(self, handler: ApiHandler, account: str, agent: str) -> Token:
        """As `Tokens.get` finds it: the owner's own; where the medium has generations, its first-generation agent's."""
        owner, fallback = (account, agent) if handler.opened_by == "account" and account else (agent, "")
        known = (handler.section, owner, fallback)
        if known not in self._known:
            keys = Keys.of(handler.section, self._subject.tenant, self._subject.day, agent)
            try:
                self._known[known] = await self._token(keys, owner, fallback)
            except TokenError as error:
                self._known[known] = Token(key=keys.tokens, of=owner, present=False, why=str(error))
        return self._known[known]

    async def _token(self, keys: Keys, owner: str, fallback: str) -> Token:
        parents = [await self._directory.parent(keys.child_agents, owner), fallback] if keys.child_agents else []
        for holder in filter(None, dict.fromkeys((owner, *parents))):
            if await self._directory.tokens(keys.tokens, holder):
                return Token(key=keys.tokens, of=holder, present=True)
        return Token(key=keys.tokens, of=owner, present=False, why=f"there is none of {owner} in {keys.tokens}")


class _Fates:
    """What became of the account's units, and what of it was asked for."""

    def __init__(self, history: History, subject: Subject, agents: Sequence[str]) -> None:
        whose = (names(), subject.tenant, subject.day)
        self._last: dict[tuple[str, str, str], Fate] = {}
        for fate in history.fates(*whose, subject.account):
            self._last.setdefault((fate.interface, fate.unit.key.agent, fate.unit.key.variant), fate)
        self._folded: dict[tuple[str, str], Fate] = {}
        for fate in history.folded(*whose, agents):
            self._folded.setdefault((fate.interface, fate.unit.key.agent), fate)
        self._asked = set[tuple[str, str, str]]()

    def of(self, interface: str, agent: str, variants: Sequence[str]) -> list[Became]:
        """The last of each variant that there is one of."""
        keys = [(interface, agent, variant) for variant in variants]
        self._asked.update(keys)
        fates = [self._last[key] for key in keys if key in self._last]
        folded = self._folded.get((interface, agent))
        return [_became(fate) for fate in fates or ([folded] if folded else [])]

    def others(self) -> list[Became]:
        """What was not asked for: of an interface or agent that the account is no longer in a list for."""
        rest: Mapping[tuple[str, str, str], Fate] = {k: v for k, v in self._last.items() if k not in self._asked}
        return [
            msgspec.structs.replace(
                _became(fate), variant=" ".join(filter(None, (interface, f"agent {agent}", variant)))
            )
            for (interface, agent, variant), fate in rest.items()
        ]


def _became(fate: Fate) -> Became:
    unit = fate.unit
    folded = "verified or skipped, if the run had it: its units are folded (ledger.keep_days)"
    return Became(
        variant=unit.key.variant,
        state=unit.state,
        run_id=fate.run_id,
        run_status=fate.status,
        reason=folded if unit.state == FOLDED else unit.reason,
        rows=unit.rows,
        requests=unit.requests,
        code=unit.code,
    )
