"""What each interface of jrtt serves, once a call is let through."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

from media.simulator import jrtt_params as params
from media.simulator.answers import Call
from media.simulator.jrtt_agents import AgentReports
from media.simulator.jrtt_data import JrttData, days_between
from media.simulator.jrtt_objects import FIELDS, OBJECTS, objects, read_filtering
from media.simulator.jrtt_params import FORBIDDEN, WRONG, Pager, Query, RefusedError
from media.simulator.jrtt_reports import (
    DAY,
    HOUR,
    INTEGRATED,
    INTEGRATED_FILTERS,
    LEVELS,
    METRICS,
    TIME,
    Asked,
    flat,
    grouped,
    nested,
)
from media.simulator.scenario import Jrtt
from media.simulator.world import Agent, World

MOST_PAGED = 10_000
"""Rows of an agent's accounts that pages reach; past them there is the cursor."""
GRANULARITIES = ("STAT_TIME_GRANULARITY_DAILY", "STAT_TIME_GRANULARITY_HOURLY")
PUBLIC = ("id", "name", "company", "first_industry_name", "second_industry_name")
_PAGED = ("page", "page_size")
_PERIOD = ("advertiser_id", "start_date", "end_date", *_PAGED)
_ORDERED = ("fields", "filtering", "group_by", "order_field", "order_type")


class Page(NamedTuple):
    """The `data` of one answer, and how many records it has."""

    data: object
    rows: int


class Door(NamedTuple):
    """One interface: what serves it, and the parameters it takes."""

    serve: Callable[[Query, Agent, Call], Page]
    known: tuple[str, ...]


class Pages:
    """The interfaces of one scenario; without state."""

    def __init__(self, world: World, data: JrttData, jrtt: Jrtt) -> None:
        self._world = world
        self._data = data
        self._jrtt = jrtt
        agents = AgentReports(world, data)
        self._agents = agents
        select = ("advertiser_id", *_PAGED, "cursor", "count", "filtering", "company_ids")
        self.doors: Mapping[str, Door] = {
            "2/agent/advertiser/select": Door(self.accounts, select),
            "2/agent/child_agent/select": Door(self.child_agents, ("advertiser_id", *_PAGED)),
            "2/agent/info": Door(self.agent_info, ("advertiser_ids", "fields")),
            "2/majordomo/advertiser/select": Door(self.majordomo, ("advertiser_id",)),
            "2/advertiser/info": Door(self.info, ("advertiser_ids", "fields")),
            "2/advertiser/public_info": Door(self.public_info, ("advertiser_ids",)),
            "2/advertiser/fund/get": Door(self.fund, ("advertiser_id",)),
            "2/advertiser/fund/daily_stat": Door(self.daily_stat, _PERIOD),
            **dict.fromkeys(OBJECTS, Door(self.objects, ("advertiser_id", "filtering", "fields", *_PAGED))),
            **dict.fromkeys(LEVELS, Door(self.report, (*_PERIOD, *_ORDERED, "time_granularity"))),
            "2/report/integrated/get": Door(self.integrated, (*_PERIOD, *_ORDERED)),
            "2/report/agent/get": Door(self.agent_report, (*_PERIOD, "group_by", "time_granularity")),
            "2/report/agent/get_v2": Door(
                self.agent_report_v2,
                ("agent_id", "start_date", "end_date", "filtering", *_PAGED, "cursor", "cursor_size"),
            ),
        }

    def accounts(self, query: Query, caller: Agent, call: Call) -> Page:
        """Bare ids of an agent's accounts, of either generation."""
        agent = self._agent(params.ident(query, "advertiser_id"), caller)
        pager = params.pager(query, 100, 100, "count")
        if not pager.by_cursor and pager.start + pager.size > MOST_PAGED:
            raise RefusedError(WRONG, f"page: pages reach {MOST_PAGED} accounts; past them there is cursor and count")
        chosen = self._chosen(query, agent, call.now)
        if chosen is None:
            ids, total = list(self._world.accounts(agent, pager.start, pager.start + pager.size)), agent.size
        else:
            ids, total = chosen[pager.start : pager.start + pager.size], len(chosen)
        bare = [int(account) for account in ids]
        data: dict[str, object] = {"list": bare, "advertiser_ids": bare, "account_source": "AD"}
        data["page_info"] = pager.info(total)
        if pager.by_cursor:
            after = pager.start + len(bare)
            told = {"count": len(bare), "cursor": after, "has_more": after < total, "total_number": total}
            data["cursor_page_info"] = told
        return Page(data, len(bare))

    def child_agents(self, query: Query, caller: Agent, _call: Call) -> Page:
        """Bare ids of the second-generation agents of a first-generation agent."""
        agent = self._agent(params.ident(query, "advertiser_id"), caller)
        if agent.parent:
            raise RefusedError(FORBIDDEN, f"Account {agent.id} doesn't exist or the role is wrong")
        pager = params.pager(query, 100, 100)
        children = self._world.children[agent.id]
        bare = [int(child.id) for child in children[pager.start : pager.start + pager.size]]
        return Page({"list": bare, "child_agent_ids": bare, "page_info": pager.info(len(children))}, len(bare))

    def agent_info(self, query: Query, caller: Agent, _call: Call) -> Page:
        """Records of agents; one forbidden id fails them all."""
        agents = [self._agent(each, caller) for each in params.idents(query, "advertiser_ids")]
        return _bare([self._data.agent(agent) for agent in agents], query)

    def majordomo(self, query: Query, caller: Agent, _call: Call) -> Page:
        """The accounts of an organisation; here an agent is the organisation of its accounts, an account of itself."""
        named = params.ident(query, "advertiser_id")
        agent = self._world.by_id.get(named)
        ids = self._world.accounts(self._agent(named, caller)) if agent else [self.own(named, caller)]
        rows = [{"advertiser_id": int(each), "advertiser_name": self._data.name(each)} for each in ids]
        return Page({"list": rows}, len(rows))

    def info(self, query: Query, caller: Agent, _call: Call) -> Page:
        """Records of accounts; one that is forbidden, unknown or inactive fails them all."""
        return _bare([self._data.record(account) for account in self._batch(query, caller)], query)

    def public_info(self, query: Query, caller: Agent, _call: Call) -> Page:
        """What everybody may know of accounts."""
        records = [self._data.record(account) for account in self._batch(query, caller)]
        return _bare([{name: record[name] for name in PUBLIC} for record in records], query)

    def fund(self, query: Query, caller: Agent, _call: Call) -> Page:
        """One record of an account or of an agent."""
        named = params.ident(query, "advertiser_id")
        agent = self._world.by_id.get(named)
        account = self._agent(named, caller).id if agent else self.own(named, caller)
        return Page(self._data.fund(account), 1)

    def daily_stat(self, query: Query, caller: Agent, call: Call) -> Page:
        """A row for each settled day."""
        account = self.own(params.ident(query, "advertiser_id"), caller)
        start, end = params.dates(query)
        pager = params.pager(query, 10, 1000)
        days = (self._data.statement(account, day, call.now) for day in days_between(start, end))
        return _listed([row for row in days if row], pager)

    def objects(self, query: Query, caller: Agent, call: Call) -> Page:
        """Campaigns, ads or creatives of one account."""
        account = self.own(params.ident(query, "advertiser_id"), caller)
        most = self._jrtt.creative_page_size if call.interface == "2/creative/get" else 1000
        pager = params.pager(query, 10, most)
        fields = params.choices(query, "fields", FIELDS[call.interface], FIELDS[call.interface])
        rows = objects(self._data, call.interface, account, read_filtering(call.interface, query))
        return _listed(rows, pager, lambda row: {name: row[name] for name in fields})

    def report(self, query: Query, caller: Agent, call: Call) -> Page:
        """Flat rows of one level; those of creatives end at a limit that nothing tells of."""
        account = self.own(params.ident(query, "advertiser_id"), caller)
        asked = flat_asked(call.interface, account, query)
        pager, fields = params.pager(query, 20, 1000), params.choices(query, "fields", METRICS, ())
        groups = grouped(self._data, asked, call.now)
        if call.interface == "2/report/creative/get":
            groups = groups[: self._jrtt.creative_report_limit]
        return _listed(groups, pager, lambda group: flat(group, account, fields))

    def integrated(self, query: Query, caller: Agent, call: Call) -> Page:
        """Rows of dimensions and metrics."""
        asked = integrated_asked(self.own(params.ident(query, "advertiser_id"), caller), query)
        pager, fields = params.pager(query, 20, 1000), params.choices(query, "fields", METRICS, ())
        return _listed(grouped(self._data, asked, call.now), pager, lambda group: nested(group, fields))

    def agent_report(self, query: Query, caller: Agent, call: Call) -> Page:
        """An agent's accounts with what they spent, a row per account and day."""
        agent = self._agent(params.ident(query, "advertiser_id"), caller)
        start, end = params.dates(query)
        params.choices(query, "group_by", (TIME, "STAT_GROUP_BY_FIELD_ID"), ())
        params.choice(query, "time_granularity", GRANULARITIES[:1], GRANULARITIES[0])
        pager = params.pager(query, 20, 1000)
        rows, total = self._agents.by_day(agent, (start, end), pager, call.now)
        return Page({"list": rows, "page_info": pager.info(total)}, len(rows))

    def agent_report_v2(self, query: Query, caller: Agent, call: Call) -> Page:
        """An agent's accounts with what they spent, a row per account."""
        agent = self._agent(params.ident(query, "agent_id"), caller)
        period = params.dates(query)
        filtering = params.filtering(query, {"advertiser_ids": params.some_ids})
        pager = params.pager(query, 20, 1000, "cursor_size")
        rows, total = self._agents.by_account(agent, period, pager, call.now, filtering.get("advertiser_ids"))
        after = pager.start + len(rows)
        told = {"cursor": after, "cursor_size": pager.size, "has_more": int(after < total), "total_number": total}
        return Page({"list": rows, "page_info": pager.info(total), "cursor_info": told}, len(rows))

    def own(self, account: str, caller: Agent) -> str:
        """An active account that the caller may see."""
        owner = self._world.find(account)
        if owner is None or caller.id not in {owner.id, owner.parent}:
            raise RefusedError(FORBIDDEN, f"Account {account} doesn't exist or the role is wrong")
        if self._data.inactive(account):
            raise RefusedError(self._jrtt.inactive_code, f"advertiser {account} is disabled")
        return account

    def _agent(self, named: str, caller: Agent) -> Agent:
        """An agent that the caller is, or that stands below it."""
        agent = self._world.by_id.get(named)
        if agent is None or caller.id not in {agent.id, agent.parent}:
            raise RefusedError(FORBIDDEN, f"Account {named} doesn't exist or the role is wrong")
        return agent

    def _batch(self, query: Query, caller: Agent) -> list[str]:
        accounts = params.idents(query, "advertiser_ids")
        try:
            return [self.own(account, caller) for account in accounts]
        except RefusedError as error:
            raise RefusedError(FORBIDDEN, f"{error}; no permission for the whole request") from None

    def _chosen(self, query: Query, agent: Agent, now: float) -> list[str] | None:
        """The accounts of some companies, or those that spent more than so many fen yesterday; None for all."""
        above = params.filtering(query, {"stat_cost_fen_gt": params.one_id}).get("stat_cost_fen_gt")
        companies = params.id_list(query, "company_ids")
        if above is None and companies is None:
            return None
        yesterday = self._data.today(now) - timedelta(days=1)
        accounts: Iterable[str] = self._world.accounts(agent)
        if companies is not None:
            accounts = (each for each in accounts if self._data.company(each) in companies)
        if above is not None:
            accounts = (
                each for each in accounts if self._data.total(each, yesterday, yesterday, now).cost > min(above)
            )
        return list(accounts)


def flat_asked(interface: str, account: str, query: Query) -> Asked:
    """What a flat report is asked for."""
    level = LEVELS[interface]
    groups = params.choices(query, "group_by", level.groups, (TIME,))
    known: dict[str, Callable[[str, Any], Any]] = dict.fromkeys(level.filters, params.some_ids)
    if level.kind:
        known["status"] = OBJECTS[level.kind].read_status
    filtering = params.filtering(query, known)
    asked = Asked(
        account,
        *params.dates(query),
        keys=tuple(name for group in groups for name in level.groups[group]),
        hourly=params.choice(query, "time_granularity", GRANULARITIES, GRANULARITIES[0]) == GRANULARITIES[1],
        kind=level.kind,
        status=filtering.pop("status", ""),
        filters={name.removesuffix("s"): ids for name, ids in filtering.items()},
        zeros=not level.kind,
    )
    return _ordered(asked, query)


def integrated_asked(account: str, query: Query) -> Asked:
    """What the integrated report is asked for."""
    groups = params.choices(query, "group_by", INTEGRATED, (DAY,))
    if {DAY, HOUR} <= set(groups):
        raise RefusedError(WRONG, f"group_by: takes {DAY} or {HOUR}")
    asked = Asked(
        account,
        *params.dates(query),
        keys=tuple(name for group in groups for name in INTEGRATED[group]),
        hourly=HOUR in groups,
        filters=params.filtering(query, dict.fromkeys(INTEGRATED_FILTERS, params.some_ids)),
    )
    return _ordered(asked, query)


def _ordered(asked: Asked, query: Query) -> Asked:
    order = params.choice(query, "order_field", (*METRICS, *asked.keys), "") if "order_field" in query else ""
    return asked._replace(order=order, descends=params.choice(query, "order_type", ("ASC", "DESC"), "DESC") == "DESC")


def _bare(records: Sequence[Mapping[str, object]], query: Query) -> Page:
    """Records without a list around them, cut down to the fields asked for."""
    fields = params.choices(query, "fields", records[0], tuple(records[0]))
    return Page([{name: record[name] for name in fields} for record in records], len(records))


def _listed(rows: Sequence[Any], pager: Pager, shown: Callable[[Any], object] = lambda row: row) -> Page:
    part = [shown(row) for row in rows[pager.start : pager.start + pager.size]]
    return Page({"list": part, "page_info": pager.info(len(rows))}, len(part))
