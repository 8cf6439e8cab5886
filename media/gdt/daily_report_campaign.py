"""gdt.daily_report_campaign: each campaign's figures of one day."""

from ark.rows import RowKey
from media.gdt.base import GdtDailyReport
from media.tencent.reports import FIGURES


class GdtDailyReportCampaign(GdtDailyReport):
    """Each campaign's figures of one day, by time line; no delivery, no row."""

    level = "REPORT_LEVEL_CAMPAIGN"
    groups = ("campaign_id",)
    table = "tenant_gdt_daily_report_campaign_v3"
    row_key = RowKey("salt", "date", "account_id", "agent_id", "campaign_id", "tenant", "time_line")
    fields = ("date", "account_id", "campaign_id", *FIGURES)
