"""wx.b.daily_report_campaign: each campaign's figures of one day."""

from ark.rows import RowKey
from media.wx.b.base import Report


class WxBDailyReportCampaign(Report):
    """One row per campaign."""

    table = "tenant_wx_b_daily_report_campaign_v1"
    row_key = RowKey("salt", "date", "account_id", "agent_id", "campaign_id", "tenant")
    level = "CAMPAIGN"
