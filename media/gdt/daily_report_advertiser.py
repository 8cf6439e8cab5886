"""gdt.daily_report_advertiser: each account's figures of one day."""

from ark.rows import RowKey
from media.gdt.base import GdtDailyReport
from media.tencent.reports import FIGURES


class GdtDailyReportAdvertiser(GdtDailyReport):
    """Each account's figures of one day, by time line; no delivery, no row."""

    level = "REPORT_LEVEL_ADVERTISER"
    table = "tenant_gdt_daily_report_advertiser_v3"
    row_key = RowKey("salt", "date", "account_id", "agent_id", "tenant", "time_line")
    fields = ("date", "account_id", *FIGURES)
