"""The records of jrtt as they are served, by the names that clients give to its interfaces.

Beside tenant, agent and account a query may name the `generation` (one, child) of the agents, `fields` of objects and
reports, `deleted=1` (objects and reports of deleted ones too), `group_by` of the reports, `time_granularity` of flat
ones, `version=1` of the agents' report. A report of creatives is whole here: a client that notices its limit can get
all of it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping

from media.simulator import jrtt_params as params
from media.simulator.answers import Truth
from media.simulator.jrtt_agents import AgentReports
from media.simulator.jrtt_data import JrttData
from media.simulator.jrtt_objects import ALL, FIELDS, OBJECTS, objects
from media.simulator.jrtt_pages import flat_asked, integrated_asked
from media.simulator.jrtt_params import Query
from media.simulator.jrtt_reports import ID, LEVELS, METRICS, TIME, flat, grouped, nested
from media.simulator.world import Agent, World

SEED_GROUPS = '["STAT_GROUP_BY_BIDWORD_ID","STAT_GROUP_BY_AD_ID"]'
"""What the integrated report is grouped by where nothing is asked for."""

Told = tuple[str, object]
"""An account, or whom else the record is about, and the record."""
OfAgent = Callable[[Agent], Iterable[Told]]


class TruthTeller:
    """The truth about one scenario."""

    def __init__(self, world: World, data: JrttData) -> None:
        self._world = world
        self._data = data
        self._agents = AgentReports(world, data)

    def told(self, interface: str, query: Query, now: float) -> Iterator[Truth]:
        """Every record of `interface`; KeyError or RefusedError for a query that cannot be answered."""
        generation, records = self._records(interface, query, now)
        for agent in self._world.agents:
            asked = {"agent": agent.id, "tenant": agent.tenant, "generation": agent.generation}
            if generation not in {"", agent.generation} or any(query.get(name, it) != it for name, it in asked.items()):
                continue
            for account, record in records(agent):
                if query.get("account", account) == account:
                    yield Truth(agent.tenant, agent.id, account, "", record)

    def _records(self, interface: str, query: Query, now: float) -> tuple[str, OfAgent]:
        """The generation that an interface is for, empty for both, and how its records are made."""
        about_agents: Mapping[str, tuple[str, OfAgent]] = {
            "child_agents": ("one", lambda agent: ((child.id, int(child.id)) for child in self._children(agent))),
            "accounts": ("one", self._bare),
            "child_accounts": ("child", self._bare),
            "agent_fund": ("one", lambda agent: [(agent.id, self._data.fund(agent.id))]),
            "child_fund": ("one", lambda agent: ((it.id, self._data.fund(it.id)) for it in self._children(agent))),
        }
        if interface in about_agents:
            return about_agents[interface]
        if interface == "report_agent":
            return "child", self._agent_report(query, now)
        return "", self._by_account(self._of_account(interface, query, now), query)

    def _children(self, agent: Agent) -> tuple[Agent, ...]:
        return self._world.children[agent.id]

    def _bare(self, agent: Agent) -> Iterator[Told]:
        for account in self._world.accounts(agent):
            yield account, int(account)

    def _by_account(self, rows: Callable[[str], Iterable[object]], query: Query) -> OfAgent:
        """The records of an agent's active accounts."""

        def records(agent: Agent) -> Iterator[Told]:
            for account in [query["account"]] if "account" in query else self._world.accounts(agent):
                if self._world.find(account) == agent and not self._data.inactive(account):
                    for row in rows(account):
                        yield account, row

        return records

    def _of_account(self, interface: str, query: Query, now: float) -> Callable[[str], Iterable[object]]:
        """How the records of one account are made."""
        if interface == "account_info":
            return lambda account: [self._data.record(account)]
        if interface == "fund":
            return lambda account: [self._data.fund(account)]
        if interface == "fund_daily_stat":
            day = params.day(query["date"], "date")
            return lambda account: filter(None, [self._data.statement(account, day, now)])
        if interface == "report_integrated":
            return self._integrated(query, now)
        if interface.startswith("report_"):
            return self._flat(f"2/report/{interface.removeprefix('report_')}/get", query, now)
        return self._objects(f"2/{interface.removesuffix('s')}/get", query)

    def _objects(self, path: str, query: Query) -> Callable[[str], Iterable[object]]:
        fields = params.choices(query, "fields", FIELDS[path], FIELDS[path])
        filtering = {"status": f"{OBJECTS[path].word}_STATUS_{ALL}"} if "deleted" in query else {}
        return lambda account: (
            {name: row[name] for name in fields} for row in objects(self._data, path, account, filtering)
        )

    def _flat(self, path: str, query: Query, now: float) -> Callable[[str], Iterable[object]]:
        level, fields = LEVELS[path], params.choices(query, "fields", METRICS, ())
        asked = flat_asked(path, "", {"group_by": f'["{ID}","{TIME}"]', **_period(query), **query})
        if "deleted" in query and level.kind:
            asked = asked._replace(status=f"{OBJECTS[level.kind].word}_STATUS_{ALL}")

        def rows(account: str) -> Iterator[object]:
            for group in grouped(self._data, asked._replace(account=account), now):
                yield flat(group, account, fields)

        return rows

    def _integrated(self, query: Query, now: float) -> Callable[[str], Iterable[object]]:
        fields = params.choices(query, "fields", METRICS, ())
        asked = integrated_asked("", {"group_by": SEED_GROUPS, **_period(query), **query})
        return lambda account: (
            nested(group, fields) for group in grouped(self._data, asked._replace(account=account), now)
        )

    def _agent_report(self, query: Query, now: float) -> OfAgent:
        day = params.day(query["date"], "date")

        def records(agent: Agent) -> Iterator[Told]:
            for account, _ in self._agents.spent(agent, [day], now):
                if query.get("version", "2") == "1":
                    yield account, self._agents.row_of_day(account, day, now)
                else:
                    yield account, self._agents.row(agent, account, (day, day), now)

        return records


def _period(query: Query) -> dict[str, str]:
    return {"start_date": query["date"], "end_date": query["date"]}
