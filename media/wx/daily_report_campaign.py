"""wx.daily_report_campaign: each campaign's figures of one day."""

from ark.rows import RowKey
from media.tencent.reports import FIGURES
from media.wx.base import WxDailyReport


class WxDailyReportCampaign(WxDailyReport):
    """Each campaign's figures of one day, by time line; no delivery, no row."""

    level = "REPORT_LEVEL_CAMPAIGN_WECHAT"
    groups = ("campaign_id",)
    table = "tenant_wx_daily_report_campaign_v3"
    row_key = RowKey("salt", "date", "account_id", "agent_id", "campaign_id", "tenant", "time_line")
    fields = ("date", "wechat_account_id", "wechat_agency_id", "account_id", "campaign_id", *FIGURES)
