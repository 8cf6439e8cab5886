"""What each interface of wx serves, in the dialect it shares with gdt."""

from media.simulator import gdt_params as params
from media.simulator.answers import Call
from media.simulator.gdt_desk import Page, page_info, page_of, shown, wanted
from media.simulator.gdt_money import MOST_DAYS
from media.simulator.gdt_objects import OBJECTS
from media.simulator.gdt_pages import Pages, Served
from media.simulator.gdt_params import RefusedError
from media.simulator.gdt_reports import DEFAULT_FIELDS, LEVELS, REPORTS
from media.simulator.world import Agent
from media.simulator.wx_data import WxData


class WxPages(Pages):
    """The interfaces of one scenario; without state."""

    levels = {f"{level}_WECHAT": ids for level, ids in LEVELS.items() if level != "REPORT_LEVEL_PROMOTED_OBJECT"}
    default_fields = (*DEFAULT_FIELDS, "wechat_account_id", "wechat_agency_id")
    _data: WxData

    def _interfaces(self) -> Served:
        return {
            "wechat_advertiser/get": self.advertisers,
            "wechat_funds/get": self.funds,
            "wechat_agency/get": self.agency,
            "wechat_daily_cost/get": self.daily_cost,
            "fund_statements_daily/get": self.money.statements_daily,
            **dict.fromkeys(REPORTS, self.report),
            **dict.fromkeys(OBJECTS, self.objects),
        }

    def advertisers(self, call: Call, agent: Agent) -> Page:
        """The accounts of the caller's agency."""
        page = params.number(call.query, "page", 1, 99_999)
        size = params.number(call.query, "page_size", 10, 100)
        fields = wanted(call)
        accounts = self._world.accounts(agent, (page - 1) * size, page * size)
        rows = [shown(self._data.advertiser(agent, account), fields) for account in accounts]
        return Page(rows, page_info(page, size, agent.size))

    def funds(self, call: Call, agent: Agent) -> Page:
        """Several rows per account, and what of them can be used beside the list."""
        account = params.required(call.query, "account_id")
        rows = self._data.funds(account if account == agent.id else self._desk.own(account, agent))
        usable = sum(int(str(row["balance"])) for row in rows)
        fields = wanted(call)
        memo = {"wechat_fund_spec": {"usable_amount": usable, "locked_amount": 0}}
        return Page([shown(row, fields) for row in rows], {"memo": memo})

    def agency(self, call: Call, agent: Agent) -> Page:
        """The caller's own record: one object, no list."""
        self._desk.agency(params.required(call.query, "account_id"), agent)
        return Page(None, shown(self._data.agency(agent), wanted(call)))

    def daily_cost(self, call: Call, agent: Agent) -> Page:
        """What one account, or all of the agency, has cost by day."""
        query = call.query
        start, end = params.date_range(params.required(query, "date_range"))
        if (end - start).days >= MOST_DAYS:
            raise RefusedError(params.TOO_BIG, f"date_range must not span more than {MOST_DAYS} days")
        if "account_id" in query:
            accounts = [self._desk.own(query["account_id"], agent)]
        else:
            accounts = [each for each in self._world.accounts(agent) if not self._data.inactive(each)]
        rows = [row for account in accounts for row in self._data.daily_cost(account, start, end, call.now)]
        return page_of(call, rows)
