"""wx.hourly_report_adgroup: each ad group's figures of every hour of one day."""

from ark.rows import RowKey
from handlers.api import Level
from media.tencent.reports import FIGURES
from media.wx.base import WxHourlyReport
from media.wx.daily_report_adgroup import WxDailyReportAdgroup
from media.wx.daily_report_campaign import WxDailyReportCampaign


class WxHourlyReportAdgroup(WxHourlyReport):
    """Each ad group's figures of every hour of one day, by time line; no delivery, no row."""

    level = "REPORT_LEVEL_ADGROUP_WECHAT"
    groups = ("adgroup_id",)
    table = "tenant_wx_hourly_report_adgroup_v3"
    row_key = RowKey("salt", "date", "account_id", "agent_id", "hour", "adgroup_id", "time_line", "tenant")
    fields = ("hour", "wechat_account_id", "wechat_agency_id", "account_id", "campaign_id", "adgroup_id", *FIGURES)
    levels = (Level(WxDailyReportCampaign, "campaign_id"), Level(WxDailyReportAdgroup, "adgroup_id"))
