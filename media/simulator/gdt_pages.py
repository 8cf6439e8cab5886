"""What each interface of gdt serves, once a call is let through."""

from collections.abc import Callable, Iterable, Mapping
from datetime import date, timedelta

from media.simulator import gdt_params as params
from media.simulator.answers import Call
from media.simulator.gdt_data import TIME_LINES, GdtData
from media.simulator.gdt_desk import Desk, Page, Record, filled, page_info, page_of, shown, wanted
from media.simulator.gdt_fields import FIELDS
from media.simulator.gdt_money import MOST_DAYS, Money
from media.simulator.gdt_objects import OBJECTS, objects
from media.simulator.gdt_params import RefusedError
from media.simulator.gdt_reports import DEFAULT_FIELDS, LEVELS, REPORTS, Query, columns, grouped, project
from media.simulator.gdt_tasks import Tasks
from media.simulator.scenario import Gdt
from media.simulator.world import Agent, World

LISTED = (
    "account_id", "corporation_name", "daily_budget", "system_status", "reject_message", "system_industry_id",
)  # fmt: skip
"""What advertiser/get serves where `fields` is not sent."""
MOST_ROWS = 10_000
HISTORY = {"daily_reports/get": 365, "hourly_reports/get": 90}

Served = Mapping[str, Callable[[Call, Agent], Page | bytes]]


class Pages:
    """The interfaces of one scenario; without state but for the tasks."""

    levels = LEVELS
    default_fields: tuple[str, ...] = DEFAULT_FIELDS

    def __init__(self, world: World, data: GdtData, gdt: Gdt) -> None:
        self._world = world
        self._data = data
        self._gdt = gdt
        self._desk = Desk(world, data)
        self.money = Money(self._desk, data)
        self.tasks = Tasks(self._desk, self._asked, self.reported, gdt.task_seconds)
        self.served = self._interfaces()

    def _interfaces(self) -> Served:
        return {
            "advertiser/get": self.advertisers,
            "agency/get": self.agencies,
            "funds/get": self.funds,
            **self.money.served,
            **dict.fromkeys(REPORTS, self.report),
            **self.tasks.served,
            **dict.fromkeys(OBJECTS, self.objects),
        }

    def funds(self, call: Call, agent: Agent) -> Page:
        """Several rows per account, no paging; an agency may ask for its own."""
        account = params.required(call.query, "account_id")
        rows = self._data.funds(account if account == agent.id else self._desk.own(account, agent))
        fields = wanted(call)
        return Page([shown(row, fields) for row in rows])

    def agencies(self, call: Call, agent: Agent) -> Page:
        """The agencies of a token: the one that it belongs to."""
        return page_of(call, [{"account_id": int(agent.id), "corporation_name": f"agency-{agent.id}"}])

    def advertisers(self, call: Call, agent: Agent) -> Page:
        """The accounts of the caller's agency, or the one named."""
        query = call.query
        fields = wanted(call) or LISTED
        size = params.number(query, "page_size", 10, 100)
        filtering = params.filtering(query.get("filtering", "[]"), ("corporation_name",), 1)
        if query.get("pagination_mode") == "PAGINATION_MODE_CURSOR":
            return self._by_cursor(query, agent, size, fields)
        page = params.number(query, "page", 1, 1000)
        if "account_id" in query or filtering:
            one = "account_id" in query
            named = [self._desk.listed(query["account_id"], agent)] if one else self._world.accounts(agent)
            rows = (self._data.advertiser(agent, account) for account in named)
            found = [row for row in rows if all(each.holds(row[each.field]) for each in filtering)]
            part, total = found[(page - 1) * size : page * size], len(found)
        else:
            accounts = self._world.accounts(agent, (page - 1) * size, page * size)
            part, total = [self._data.advertiser(agent, account) for account in accounts], agent.size
        return Page([filled(row, fields, call.interface) for row in part], page_info(page, size, total))

    def report(self, call: Call, agent: Agent) -> Page:
        """Rows where something was delivered, one page of them."""
        query = call.query
        asked = self._asked(call, self._desk.own(params.required(query, "account_id"), agent), agent)
        fields = wanted(call) or tuple(name for name in self.default_fields if name in FIELDS[call.interface])
        page = params.number(query, "page", 1, 99_999)
        size = params.number(query, "page_size", 10, self._gdt.report_page_size)
        if page * size > MOST_ROWS:
            raise RefusedError(params.TOO_BIG, f"page * page_size must not exceed {MOST_ROWS}")
        groups = grouped(self._data, asked, call.now)
        shown_columns = columns(fields, call.interface)
        rows = [project(group, shown_columns) for group in groups[(page - 1) * size : page * size]]
        return Page(rows, page_info(page, size, len(groups)))

    def reported(self, asked: Query, fields: tuple[str, ...], now: float) -> Iterable[Record]:
        """All rows of a report."""
        shown_columns = columns(fields, asked.interface)
        return [project(group, shown_columns) for group in grouped(self._data, asked, now)]

    def objects(self, call: Call, agent: Agent) -> Page:
        """Campaigns, adgroups, ads or creatives of one account, one page of them."""
        query = call.query
        account = self._desk.own(params.required(query, "account_id"), agent)
        page = params.number(query, "page", 1, 99_999)
        size = params.number(query, "page_size", 10, 100)
        filtering = params.filtering(query.get("filtering", "[]"), OBJECTS[call.interface].filters, 6)
        deleted = params.choice(query, "is_deleted", ("true", "false"), "false") == "true"
        found = objects(self._data, call.interface, account, filtering, deleted=deleted)
        fields = wanted(call)
        part = found[(page - 1) * size : page * size]
        rows = [filled(row, fields, call.interface) for row in part] if fields else part
        return Page(rows, page_info(page, size, len(found)))

    def _by_cursor(self, query: Mapping[str, str], agent: Agent, size: int, fields: tuple[str, ...]) -> Page:
        start = 0 if query.get("cursor", "0") == "0" else params.number(query, "cursor", 0, 1 << 31)
        accounts = self._world.accounts(agent, start, start + size)
        rows = [filled(self._data.advertiser(agent, each), fields, "advertiser/get") for each in accounts]
        more, after = start + size < agent.size, start + len(rows)
        info = {"page_size": size, "total_number": agent.size, "has_more": more, "cursor": after}
        return Page(rows, {"cursor_page_info": info})

    def _asked(self, call: Call, account: str, agent: Agent) -> Query:
        query = call.query
        level = params.choice(query, "level", tuple(self.levels))
        daily = call.interface == REPORTS[0]
        first = "date" if daily else "hour"
        allowed = (first, *(name for name in self.levels[level] if daily or name != "site_set"))
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
            self._data.beside(agent, account),
        )

    def _check_range(self, call: Call, start: date, end: date) -> None:
        if call.interface == REPORTS[1] and start != end:
            raise RefusedError(params.TOO_BIG, "date_range: start_date and end_date must be the same day")
        if (end - start).days >= MOST_DAYS:
            raise RefusedError(params.TOO_BIG, f"date_range must not span more than {MOST_DAYS} days")
        oldest = self._data.today(call.now) - timedelta(days=HISTORY[call.interface])
        if self._gdt.today and start < oldest:
            raise RefusedError(params.TOO_SMALL, f"date_range must not begin before {oldest}")
