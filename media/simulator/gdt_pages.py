"""What each interface of gdt serves, once a call is let through; and the same records as truth."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import NamedTuple

from media.simulator import gdt_params as params
from media.simulator.answers import Call, Truth
from media.simulator.gdt_data import TIME_LINES, GdtData
from media.simulator.gdt_fields import FIELDS
from media.simulator.gdt_objects import OBJECTS, objects
from media.simulator.gdt_params import RefusedError
from media.simulator.gdt_reports import DEFAULT_FIELDS, LEVELS, Query, columns, grouped, project
from media.simulator.scenario import Gdt
from media.simulator.world import Agent, World

REPORTS = ("daily_reports/get", "hourly_reports/get")
LISTED = (
    "account_id", "corporation_name", "daily_budget", "system_status", "reject_message", "system_industry_id",
)  # fmt: skip
"""What advertiser/get serves where `fields` is not sent."""
MOST_ROWS = 10_000
MOST_DAYS = 90
HISTORY = {"daily_reports/get": 365, "hourly_reports/get": 90}
_EMPTY: Mapping[str, object] = {"int": 0, "float": 0.0, "str": "", "bool": False, "list": (), "object": {}}

Record = Mapping[str, object]


class Page(NamedTuple):
    """The rows of one answer, and what stands beside its list."""

    rows: Sequence[Record]
    beside: Mapping[str, object]


class Pages:
    """The interfaces of one scenario; without state."""

    def __init__(self, world: World, data: GdtData, gdt: Gdt) -> None:
        self._world = world
        self._data = data
        self._gdt = gdt
        self.served: Mapping[str, Callable[[Call, Agent], Page]] = {
            "advertiser/get": self.advertisers,
            "funds/get": self.funds,
            **dict.fromkeys(REPORTS, self.report),
            **dict.fromkeys(OBJECTS, self.objects),
        }

    def funds(self, call: Call, agent: Agent) -> Page:
        """Several rows per account, no paging; an agency may ask for its own."""
        account = params.required(call.query, "account_id")
        rows = self._data.funds(account if account == agent.id else self._own(account, agent))
        wanted = _wanted(call)
        return Page([{name: row[name] for name in wanted} for row in rows] if wanted else rows, {})

    def advertisers(self, call: Call, agent: Agent) -> Page:
        """The accounts of the caller's agency, or the one named."""
        query = call.query
        wanted = _wanted(call) or LISTED
        size = params.number(query, "page_size", 10, 100)
        filtering = params.filtering(query.get("filtering", "[]"), ("corporation_name",), 1)
        if query.get("pagination_mode") == "PAGINATION_MODE_CURSOR":
            return self._by_cursor(query, agent, size, wanted)
        page = params.number(query, "page", 1, 1000)
        if "account_id" in query or filtering:
            named = [self._listed(query["account_id"], agent)] if "account_id" in query else self._world.accounts(agent)
            rows = (self._data.advertiser(agent, account) for account in named)
            found = [row for row in rows if all(each.holds(row[each.field]) for each in filtering)]
            part, total = found[(page - 1) * size : page * size], len(found)
        else:
            accounts = self._world.accounts(agent, (page - 1) * size, page * size)
            part, total = [self._data.advertiser(agent, account) for account in accounts], agent.size
        return Page([_filled(row, wanted, call.interface) for row in part], _page_info(page, size, total))

    def report(self, call: Call, agent: Agent) -> Page:
        """Rows where something was delivered, one page of them."""
        query = call.query
        asked = self._asked(call, self._own(params.required(query, "account_id"), agent))
        wanted = _wanted(call) or tuple(name for name in DEFAULT_FIELDS if name in FIELDS[call.interface])
        page = params.number(query, "page", 1, 99_999)
        size = params.number(query, "page_size", 10, self._gdt.report_page_size)
        if page * size > MOST_ROWS:
            raise RefusedError(params.TOO_BIG, f"page * page_size must not exceed {MOST_ROWS}")
        groups = grouped(self._data, asked, call.now)
        shown = columns(wanted, call.interface)
        rows = [project(group, shown) for group in groups[(page - 1) * size : page * size]]
        return Page(rows, _page_info(page, size, len(groups)))

    def objects(self, call: Call, agent: Agent) -> Page:
        """Campaigns, adgroups, ads or creatives of one account, one page of them."""
        query = call.query
        account = self._own(params.required(query, "account_id"), agent)
        page = params.number(query, "page", 1, 99_999)
        size = params.number(query, "page_size", 10, 100)
        filtering = params.filtering(query.get("filtering", "[]"), OBJECTS[call.interface].filters, 6)
        deleted = params.choice(query, "is_deleted", ("true", "false"), "false") == "true"
        found = objects(self._data, call.interface, account, filtering, deleted=deleted)
        wanted = _wanted(call)
        part = found[(page - 1) * size : page * size]
        rows = [_filled(row, wanted, call.interface) for row in part] if wanted else part
        return Page(rows, _page_info(page, size, len(found)))

    def truth(self, interface: str, query: Mapping[str, str], now: float) -> Iterator[Truth]:
        """Every record of `interface` as clients name it; see `server` for the names and the query."""
        records = self._records(interface, query, now)
        for agent in self._world.agents:
            if query.get("agent", agent.id) != agent.id or query.get("tenant", agent.tenant) != agent.tenant:
                continue
            accounts = [query["account"]] if "account" in query else self._world.accounts(agent)
            for account in accounts:
                if self._world.find(account) is agent:
                    for variant, record in records(agent, account):
                        yield Truth(agent.tenant, agent.id, account, variant, record)

    def _records(
        self, interface: str, query: Mapping[str, str], now: float
    ) -> Callable[[Agent, str], Iterable[tuple[str, Record]]]:
        """How the records of one account are made, each with its variant; raises KeyError for an unknown interface."""
        path = _PATHS[interface.partition("_report_")[0]]
        fields = params.fields(query["fields"], path) if "fields" in query else tuple(FIELDS[path])
        if path in REPORTS:
            return self._true_reports(path, interface.partition("_report_")[2], query, fields, now)
        if path == "advertiser/get":
            return lambda agent, account: [("", _filled(self._data.advertiser(agent, account), fields, path))]

        def records(_agent: Agent, account: str) -> Iterator[tuple[str, Record]]:
            if not self._data.inactive(account):
                served = self._data.funds(account) if path == "funds/get" else self._true_objects(path, account)
                for row in served:
                    yield "", {name: row[name] for name in fields if name in row}

        return records

    def _true_objects(self, path: str, account: str) -> Sequence[Record]:
        return objects(self._data, path, account, (), deleted=False)

    def _true_reports(
        self, path: str, level: str, query: Mapping[str, str], fields: tuple[str, ...], now: float
    ) -> Callable[[Agent, str], Iterable[tuple[str, Record]]]:
        day = params.day(query["date"], "date")
        first, ids = "date" if path == REPORTS[0] else "hour", LEVELS[f"REPORT_LEVEL_{level.upper()}"]
        usual = (first, *(name for name in ids if name != "site_set"))
        groups = params.group_by(query["group_by"], (first, *ids)) if "group_by" in query else usual
        shown = columns(fields, path)

        def records(_agent: Agent, account: str) -> Iterator[tuple[str, Record]]:
            if self._data.inactive(account):
                return
            for line in TIME_LINES:
                for group in grouped(self._data, Query(path, account, day, day, groups, line), now):
                    yield f"time_line={line}", project(group, shown)

        return records

    def _own(self, account: str, agent: Agent) -> str:
        """An active account of the caller; agencies are refused."""
        if account in self._world.by_id:
            raise RefusedError(12203, "account_id: an agency is not permitted here")
        self._listed(account, agent)
        if self._data.inactive(account):
            raise RefusedError(32211, "the advertiser account is not active")
        return account

    def _listed(self, account: str, agent: Agent) -> str:
        owner = self._world.find(account)
        if owner is None or owner.id != agent.id:
            raise RefusedError(12201, "account_id is not valid for this token")
        return account

    def _by_cursor(self, query: Mapping[str, str], agent: Agent, size: int, wanted: tuple[str, ...]) -> Page:
        start = 0 if query.get("cursor", "0") == "0" else params.number(query, "cursor", 0, 1 << 31)
        accounts = self._world.accounts(agent, start, start + size)
        rows = [_filled(self._data.advertiser(agent, each), wanted, "advertiser/get") for each in accounts]
        more, after = start + size < agent.size, start + len(rows)
        info = {"page_size": size, "total_number": agent.size, "has_more": more, "cursor": after}
        return Page(rows, {"cursor_page_info": info})

    def _asked(self, call: Call, account: str) -> Query:
        query = call.query
        level = params.choice(query, "level", tuple(LEVELS))
        daily = call.interface == REPORTS[0]
        first = "date" if daily else "hour"
        allowed = (first, *(name for name in LEVELS[level] if daily or name != "site_set"))
        start, end = params.date_range(params.required(query, "date_range"))
        self._check_range(call, start, end)
        return Query(
            call.interface,
            account,
            start,
            end,
            params.group_by(query["group_by"], allowed) if "group_by" in query else (first,),
            params.choice(query, "time_line", TIME_LINES, TIME_LINES[0]),
            params.filtering(query.get("filtering", "[]")),
            params.order_by(query.get("order_by", "[]"), call.interface),
        )

    def _check_range(self, call: Call, start: date, end: date) -> None:
        if call.interface == REPORTS[1] and start != end:
            raise RefusedError(params.TOO_BIG, "date_range: start_date and end_date must be the same day")
        if (end - start).days >= MOST_DAYS:
            raise RefusedError(params.TOO_BIG, f"date_range must not span more than {MOST_DAYS} days")
        oldest = self._data.today(call.now) - timedelta(days=HISTORY[call.interface])
        if self._gdt.today and start < oldest:
            raise RefusedError(params.TOO_SMALL, f"date_range must not begin before {oldest}")


_PATHS = {
    "advertisers": "advertiser/get",
    "funds": "funds/get",
    "daily": "daily_reports/get",
    "hourly": "hourly_reports/get",
    "campaigns": "campaigns/get",
    "adgroups": "adgroups/get",
    "ads": "ads/get",
    "adcreatives": "adcreatives/get",
}
"""An interface's name among clients, before `_report_`, -> its path."""


def _wanted(call: Call) -> tuple[str, ...]:
    return params.fields(call.query["fields"], call.interface) if "fields" in call.query else ()


def _filled(row: Record, wanted: Iterable[str], interface: str) -> Record:
    """The row cut down to `wanted`; a field without a value is there and empty."""
    types = FIELDS[interface]
    return {name: row[name] if name in row else _EMPTY[types[name]] for name in wanted}


def _page_info(page: int, size: int, total: int) -> dict[str, object]:
    info = {"page": page, "page_size": size, "total_number": total, "total_page": -(-total // size)}
    return {"page_info": info}
