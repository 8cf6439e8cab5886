"""gdt.hourly_report_campaign: each campaign's figures of every hour of one day."""

from ark.rows import RowKey
from handlers.api import Level
from media.gdt.base import GdtHourlyReport
from media.gdt.daily_report_campaign import GdtDailyReportCampaign
from media.tencent.reports import FIGURES


class GdtHourlyReportCampaign(GdtHourlyReport):
    """Each campaign's figures of every hour of one day, by time line; no delivery, no row."""

    level = "REPORT_LEVEL_CAMPAIGN"
    groups = ("campaign_id",)
    table = "tenant_gdt_hourly_report_campaign_v3"
    row_key = RowKey("salt", "date", "account_id", "agent_id", "hour", "campaign_id", "time_line", "tenant")
    fields = ("hour", "account_id", "campaign_id", *FIGURES)
    levels = (Level(GdtDailyReportCampaign, "campaign_id"),)
