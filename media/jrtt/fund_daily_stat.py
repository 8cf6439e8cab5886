"""jrtt.fund_daily_stat: what went into and out of each account on one day (资金日流水)."""

from ark.rows import RowKey
from ark.units import Unit
from handlers.api import Params
from media.jrtt.base import JrttHandler, one_day


class JrttFundDailyStat(JrttHandler):
    """One row per account, in yuan."""

    path = "2/advertiser/fund/daily_stat/"
    table = "tenant_jrtt_advertiser_fund_daily_stat_v2"
    row_key = RowKey("salt", "date", "account_id", "agent_id", "tenant")
    source = "official client: advertiser/fund/daily_stat; yesterday appears at about 08:00"
    pages, complete_at = "list_page", 8

    def params(self, unit: Unit) -> Params:
        return one_day(unit)
