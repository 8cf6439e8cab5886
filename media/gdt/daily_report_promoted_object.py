"""gdt.daily_report_promoted_object: each promoted object's figures of one day."""

from ark.rows import RowKey
from media.gdt.base import GdtDailyReport
from media.tencent.reports import FIGURES


class GdtDailyReportPromotedObject(GdtDailyReport):
    """Each promoted object's figures of one day, by time line; no delivery, no row."""

    level = "REPORT_LEVEL_PROMOTED_OBJECT"
    groups = ("promoted_object_type", "promoted_object_id")
    table = "tenant_gdt_daily_report_promoted_object_v3"
    row_key = RowKey(
        "salt", "date", "account_id", "agent_id", "promoted_object_type", "promoted_object_id", "tenant", "time_line"
    )
    fields = ("date", "account_id", "promoted_object_type", "promoted_object_id", *FIGURES)
