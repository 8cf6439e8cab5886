"""gdt.hourly_report_advertiser: each account's figures of every hour of one day."""

from ark.rows import RowKey
from media.gdt.base import GdtHourlyReport
from media.tencent.reports import FIGURES


class GdtHourlyReportAdvertiser(GdtHourlyReport):
    """Each account's figures of every hour of one day, by time line; no delivery, no row."""

    level = "REPORT_LEVEL_ADVERTISER"
    table = "tenant_gdt_hourly_report_advertiser_v3"
    row_key = RowKey("salt", "date", "account_id", "agent_id", "hour", "time_line", "tenant")
    fields = ("hour", "account_id", *FIGURES)
