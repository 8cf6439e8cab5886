"""The records of gdt's interfaces as they will be served, under the names that clients give the interfaces."""

from collections.abc import Callable, Iterable, Iterator, Mapping

from media.simulator import gdt_params as params
from media.simulator.answers import Truth
from media.simulator.gdt_data import TIME_LINES, GdtData
from media.simulator.gdt_desk import Record, filled, shown
from media.simulator.gdt_fields import FIELDS
from media.simulator.gdt_money import COST_LEVELS, Money
from media.simulator.gdt_objects import OBJECTS, objects
from media.simulator.gdt_reports import REPORTS, Query, columns, grouped, project
from media.simulator.world import Agent, World

Told = Callable[[Agent, str], Iterable[tuple[str, Record]]]
"""The records of one account, each with its variant."""

PATHS = {
    "funds": "funds/get",
    "advertisers": "advertiser/get",
    "fund_statements_daily": "fund_statements_daily/get",
    "realtime_cost": "realtime_cost/get",
    **{path.removesuffix("/get"): path for path in OBJECTS},
    "daily": "daily_reports/get",
    "hourly": "hourly_reports/get",
}
"""An interface's name among clients, before `_report_`, -> its path."""
LISTED = {"advertiser/get", "wechat_advertiser/get", "wechat_agency/get"}
"""Served for inactive accounts too; a field without a value is there and empty."""


class Truths:
    """The truth of one scenario. `levels` are those of its reports, `paths` its interfaces."""

    def __init__(
        self, world: World, data: GdtData, money: Money, levels: Mapping[str, tuple[str, ...]], paths: Mapping[str, str]
    ) -> None:
        self._world = world
        self._data = data
        self._money = money
        self._paths = paths
        self._levels = {
            level.removeprefix("REPORT_LEVEL_").removesuffix("_WECHAT").lower(): ids for level, ids in levels.items()
        }

    def told(self, interface: str, query: Mapping[str, str], now: float) -> Iterator[Truth]:
        """Every record of `interface`; raises KeyError or RefusedError for a query that makes no sense."""
        kind, _, level = interface.partition("_report_")
        path = self._paths[kind]
        fields = params.fields(query["fields"], path) if "fields" in query else tuple(FIELDS[path])
        records = (
            self._reports(path, level, query, fields, now)
            if path in REPORTS
            else self._records(path, query, fields, now)
        )
        for agent in self._world.agents:
            if query.get("agent", agent.id) != agent.id or query.get("tenant", agent.tenant) != agent.tenant:
                continue
            for account in self._subjects(path, agent, query):
                for variant, record in records(agent, account):
                    yield Truth(agent.tenant, agent.id, account, variant, record)

    def _subjects(self, path: str, agent: Agent, query: Mapping[str, str]) -> Iterable[str]:
        """Whom the records of a path are about: the agency itself, or its accounts."""
        if path == "wechat_agency/get":
            return [agent.id] if query.get("account", agent.id) == agent.id else []
        if "account" in query:
            return [query["account"]] if self._world.find(query["account"]) is agent else []
        return self._world.accounts(agent)

    def _records(self, path: str, query: Mapping[str, str], fields: tuple[str, ...], now: float) -> Told:
        def records(agent: Agent, account: str) -> Iterator[tuple[str, Record]]:
            listed = path in LISTED
            if listed or not self._data.inactive(account):
                for variant, row in self._served(path, agent, account, query, now):
                    yield variant, filled(row, fields, path) if listed else shown(row, fields)

        return records

    def _served(
        self, path: str, agent: Agent, account: str, query: Mapping[str, str], now: float
    ) -> Iterator[tuple[str, Record]]:
        day = params.day(query["date"], "date")
        if path == "fund_statements_daily/get":
            for kind in (str(row["fund_type"]) for row in self._data.funds(account)):
                for row in self._money.day(account, kind, day):
                    yield f"fund_type={kind}", row
        elif path == "realtime_cost/get":
            level = params.choice(query, "level", tuple(COST_LEVELS), "ADVERTISER")
            if day == self._data.today(now):
                for row in self._money.cost_today(account, level, now):
                    yield "", row
        elif path in OBJECTS:
            deleted = query.get("is_deleted") == "true"
            for row in objects(self._data, path, account, (), deleted=deleted):
                yield "", row
        else:
            for row in self._data.told(path, agent, account, day, now):
                yield "", row

    def _reports(self, path: str, level: str, query: Mapping[str, str], fields: tuple[str, ...], now: float) -> Told:
        day = params.day(query["date"], "date")
        first, ids = "date" if path == "daily_reports/get" else "hour", self._levels[level]
        usual = (first, *(name for name in ids if name != "site_set"))
        groups = params.group_by(query["group_by"], (first, *ids)) if "group_by" in query else usual
        wanted = columns(fields, path)

        def records(agent: Agent, account: str) -> Iterator[tuple[str, Record]]:
            if self._data.inactive(account):
                return
            beside = self._data.beside(agent, account)
            for line in TIME_LINES:
                asked = Query(path, account, day, day, groups, line, beside=beside)
                for group in grouped(self._data, asked, now):
                    yield f"time_line={line}", project(group, wanted)

        return records
