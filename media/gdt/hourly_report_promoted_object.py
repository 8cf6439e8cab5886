"""gdt.hourly_report_promoted_object: each promoted object's figures of every hour of one day."""

from ark.rows import RowKey
from media.gdt.base import GdtHourlyReport
from media.tencent.reports import FIGURES


class GdtHourlyReportPromotedObject(GdtHourlyReport):
    """Each promoted object's figures of every hour of one day, by time line; no delivery, no row."""

    level = "REPORT_LEVEL_PROMOTED_OBJECT"
    groups = ("promoted_object_type", "promoted_object_id")
    table = "tenant_gdt_hourly_report_promoted_object_v3"
    row_key = RowKey(
        "salt", "date", "account_id", "agent_id",
        "hour", "promoted_object_type", "promoted_object_id", "time_line", "tenant",
    )  # fmt: skip
    fields = ("hour", "account_id", "promoted_object_type", "promoted_object_id", *FIGURES)
