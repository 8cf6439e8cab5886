"""gdt.fund_statements_daily: what went into and out of each account's funds on one day (资金日流水)."""

from ark.rows import RowKey
from ark.units import Unit
from handlers.api import Params
from media.gdt.base import GdtHandler
from media.tencent.funds import FUND_TYPES


class GdtFundStatementsDaily(GdtHandler):
    """One row per kind of fund, kind of trade and time; a call per kind of fund, as the medium wants it."""

    path = "fund_statements_daily/get"
    table = "tenant_gdt_fund_statements_daily_get_v2"
    row_key = RowKey("salt", "date", "account_id", "agent_id", "fund_type", "trade_type", "time", "tenant")
    source = "developers.e.qq.com, fund_statements_daily_get; fund types and fields of the official client of 2020"
    variants = {"fund_type": FUND_TYPES}
    complete_at = 8

    def params(self, unit: Unit) -> Params:
        return unit.variant | {"date_range": {"start_date": f"{unit.date}", "end_date": f"{unit.date}"}}
