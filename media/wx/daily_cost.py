"""wx.daily_cost: what each account has spent on one day (日消耗)."""

from ark.rows import RowKey
from ark.units import Unit
from handlers.api import Params
from media.wx.base import WxHandler


class WxDailyCost(WxHandler):
    """Cost of each account, in fen."""

    path = "wechat_daily_cost/get"
    table = "tenant_wx_daily_cost_get_v2"
    row_key = RowKey("salt", "date", "account_id", "agent_id", "tenant")
    source = "official client of 2020-12: wechat_daily_cost/get"
    pages = "list_page"
    restated, complete_at = 7, 8

    def params(self, unit: Unit) -> Params:
        return {"date_range": {"start_date": f"{unit.date}", "end_date": f"{unit.date}"}}
