"""wx.daily_report_advertiser: each account's figures of one day."""

from ark.rows import RowKey
from media.tencent.reports import FIGURES
from media.wx.base import WxDailyReport


class WxDailyReportAdvertiser(WxDailyReport):
    """Each account's figures of one day, by time line; no delivery, no row."""

    level = "REPORT_LEVEL_ADVERTISER_WECHAT"
    table = "tenant_wx_daily_report_advertiser_v3"
    row_key = RowKey("salt", "date", "account_id", "agent_id", "tenant", "time_line")
    fields = ("date", "wechat_account_id", "wechat_agency_id", "account_id", *FIGURES)
