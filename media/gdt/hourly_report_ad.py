"""gdt.hourly_report_ad: each ad's figures of every hour of one day."""

from ark.rows import RowKey
from handlers.api import Level
from media.gdt.base import GdtHourlyReport
from media.gdt.daily_report_ad import GdtDailyReportAd
from media.gdt.daily_report_adgroup import GdtDailyReportAdgroup
from media.gdt.daily_report_campaign import GdtDailyReportCampaign
from media.tencent.reports import FIGURES, OF_AD


class GdtHourlyReportAd(GdtHourlyReport):
    """Each ad's figures of every hour of one day, by time line; no delivery, no row."""

    level = "REPORT_LEVEL_AD"
    groups = ("ad_id",)
    table = "tenant_gdt_hourly_report_ad_v3"
    row_key = RowKey("salt", "date", "account_id", "agent_id", "hour", "ad_id", "time_line", "tenant")
    fields = ("hour", *OF_AD, *FIGURES)
    levels = (
        Level(GdtDailyReportCampaign, "campaign_id"),
        Level(GdtDailyReportAdgroup, "adgroup_id"),
        Level(GdtDailyReportAd, "ad_id"),
    )
