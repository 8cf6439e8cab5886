"""What gdt tells about money beside the balances: statements by day, what today has cost so far."""

from collections.abc import Callable, Mapping
from datetime import date, timedelta

from media.simulator import gdt_params as params
from media.simulator.answers import Call
from media.simulator.gdt_data import TIME_LINES, TRADE_TYPES, GdtData
from media.simulator.gdt_desk import Desk, Page, Record, page_of, shown, wanted
from media.simulator.gdt_params import RefusedError
from media.simulator.gdt_reports import Query, grouped
from media.simulator.world import Agent

KNOWN_FUNDS = (
    "FUND_TYPE_CASH", "FUND_TYPE_GIFT", "FUND_TYPE_SHARED", "FUND_TYPE_BANK", "FUND_TYPE_UNION_GIFT",
    "FUND_TYPE_MP_CASH", "FUND_TYPE_MP_BANK", "FUND_TYPE_MP_GIFT", "FUND_TYPE_CREDIT_ROLL",
    "FUND_TYPE_CREDIT_TEMPORARY", "FUND_TYPE_CONTRACT_GIFT_VIRTUAL", "FUND_TYPE_CONTRACT_ASSIGN_VIRTUAL",
    "FUND_TYPE_COMPENSATE_VIRTUAL", "FUND_TYPE_INTERNAL_QUOTA", "FUND_TYPE_TEST_VIRTUAL", "FUND_TYPE_JD_PRIVILEGE",
    "FUND_TYPE_JD_WIRELESS_CASH", "FUND_TYPE_UNSUPPORTED", "FUND_TYPE_CREDIT", "FUND_TYPE_SPECIAL_PROMOTION",
    "FUND_TYPE_PAYMENT_DUE", "FUND_TYPE_MINIPROGRAM",
)  # fmt: skip
"""The fund types of the SDKs of 2020, WeChat's among them."""
COST_LEVELS: Mapping[str, tuple[str, ...]] = {
    "ADVERTISER": (),
    "CAMPAIGN": ("campaign_id",),
    "ADGROUP": ("adgroup_id",),
}
"""Level of realtime_cost/get -> what its rows are about."""
COST_FILTERS = ("campaign_id", "adgroup_id")
MOST_DAYS = 90
"""Of one date_range. Nobody tells how many days statements may span; reports may span these."""
_DESCRIPTIONS = {"PAY": "广告消耗", "CHARGE": "账户充值", "TRANSFER_BACK": "余额回划", "EXPIRE": "赠送金到期"}


class Money:
    """The interfaces about money of one scenario; without state."""

    def __init__(self, desk: Desk, data: GdtData) -> None:
        self._desk = desk
        self._data = data
        self.served: Mapping[str, Callable[[Call, Agent], Page]] = {
            "fund_statements_daily/get": self.statements_daily,
            "fund_statements_detailed/get": self.statements_detailed,
            "realtime_cost/get": self.realtime_cost,
            "agency_realtime_cost/get": self.agency_realtime_cost,
        }

    def statements_daily(self, call: Call, agent: Agent) -> Page:
        """What moved one kind of fund on these days, no paging."""
        account, fund_type, days = self._asked(call, agent)
        trade = params.choice(call.query, "trade_type", TRADE_TYPES) if "trade_type" in call.query else ""
        fields = wanted(call)
        rows = (row for day in days for row in self.day(account, fund_type, day))
        return Page([shown(row, fields) for row in rows if trade in {"", row["trade_type"]}])

    def statements_detailed(self, call: Call, agent: Agent) -> Page:
        """The same movements as single bills, one page of them."""
        account, fund_type, days = self._asked(call, agent)
        rows = [
            {
                "account_id": int(account),
                "balance": each.balance,
                "time": each.time,
                "external_bill_no": f"{account}-{each.time}",
                "trade_type_ext": each.trade_type,
                "amount": each.amount,
                "description": _DESCRIPTIONS[each.trade_type],
                "fund_type": fund_type,
            }
            for day in days
            for each in self._data.statements(account, fund_type, day)
        ]
        return page_of(call, rows)

    def realtime_cost(self, call: Call, agent: Agent) -> Page:
        """What today has cost so far; campaigns and adgroups have to be named."""
        query = call.query
        account = self._desk.own(params.required(query, "account_id"), agent)
        level = params.choice(query, "level", tuple(COST_LEVELS))
        if params.day(params.required(query, "date"), "date") != self._data.today(call.now):
            raise RefusedError(params.NOT_IN_ENUM, "date must be today")
        filtering = query.get("filtering", "[]")
        if COST_LEVELS[level] and not params.filtering(filtering, COST_FILTERS):
            raise RefusedError(params.MISSING, "filtering is required at this level")
        return page_of(call, self.cost_today(account, level, call.now, filtering))

    def agency_realtime_cost(self, call: Call, agent: Agent) -> Page:
        """What an agency's funds have paid today."""
        account = self._desk.agency(params.required(call.query, "account_id"), agent)
        told = int(call.now) // 60 * 60
        return Page([
            {"cost": row["realtime_cost"], "caculate_time": told, "fund_type": row["fund_type"]}
            for row in self._data.funds(account)
        ])  # fmt: skip

    def day(self, account: str, fund_type: str, day: date) -> list[Record]:
        """The rows of one day of fund_statements_daily/get."""
        return [
            {
                "trade_type": each.trade_type,
                "time": each.time,
                "amount": each.amount,
                "description": _DESCRIPTIONS[each.trade_type],
                "fund_type": fund_type,
            }
            for each in self._data.statements(account, fund_type, day)
        ]

    def cost_today(self, account: str, level: str, now: float, filtering: str = "[]") -> list[Record]:
        """The rows of realtime_cost/get; an id above the level, or below it, is 0."""
        today, groups = self._data.today(now), ("date", *COST_LEVELS[level])
        conditions = params.filtering(filtering, COST_FILTERS)
        asked = Query("daily_reports/get", account, today, today, groups, TIME_LINES[0], conditions)
        return [
            {
                "campaign_id": group.about.get("campaign_id", 0),
                "adgroup_id": group.about.get("adgroup_id", 0),
                "cost": group.delivery.cost,
            }
            for group in grouped(self._data, asked, now)
        ]

    def _asked(self, call: Call, agent: Agent) -> tuple[str, str, list[date]]:
        query = call.query
        account = self._desk.own(params.required(query, "account_id"), agent)
        fund_type = params.choice(query, "fund_type", KNOWN_FUNDS)
        start, end = params.date_range(params.required(query, "date_range"))
        if (end - start).days >= MOST_DAYS:
            raise RefusedError(params.TOO_BIG, f"date_range must not span more than {MOST_DAYS} days")
        return account, fund_type, [start + timedelta(days=number) for number in range((end - start).days + 1)]
