"""wx.hourly_report_ad: each ad's figures of every hour of one day."""

from ark.rows import RowKey
from handlers.api import Level
from media.tencent.reports import FIGURES, OF_AD
from media.wx.base import WxHourlyReport
from media.wx.daily_report_ad import WxDailyReportAd
from media.wx.daily_report_adgroup import WxDailyReportAdgroup
from media.wx.daily_report_campaign import WxDailyReportCampaign


class WxHourlyReportAd(WxHourlyReport):
    """Each ad's figures of every hour of one day, by time line; no delivery, no row."""

    level = "REPORT_LEVEL_AD_WECHAT"
    groups = ("ad_id",)
    table = "tenant_wx_hourly_report_ad_v3"
    row_key = RowKey("salt", "date", "account_id", "agent_id", "hour", "ad_id", "time_line", "tenant")
    fields = ("hour", "wechat_account_id", "wechat_agency_id", *OF_AD, *FIGURES)
    levels = (
        Level(WxDailyReportCampaign, "campaign_id"),
        Level(WxDailyReportAdgroup, "adgroup_id"),
        Level(WxDailyReportAd, "ad_id"),
    )
