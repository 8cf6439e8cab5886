"""wx.daily_report_ad: each ad's figures of one day."""

from ark.rows import RowKey
from handlers.api import Level
from media.tencent.reports import FIGURES, OF_AD
from media.wx.base import WxDailyReport
from media.wx.daily_report_adgroup import WxDailyReportAdgroup
from media.wx.daily_report_campaign import WxDailyReportCampaign


class WxDailyReportAd(WxDailyReport):
    """Each ad's figures of one day, by time line; no delivery, no row."""

    level = "REPORT_LEVEL_AD_WECHAT"
    groups = ("ad_id",)
    table = "tenant_wx_daily_report_ad_v3"
    row_key = RowKey("salt", "date", "account_id", "agent_id", "ad_id", "tenant", "time_line")
    fields = ("date", "wechat_account_id", "wechat_agency_id", *OF_AD, *FIGURES)
    levels = (Level(WxDailyReportCampaign, "campaign_id"), Level(WxDailyReportAdgroup, "adgroup_id"))
