"""gdt.hourly_report_ad: each ad's figures of every hour of one day."""

from ark.rows import RowKey
from ark.units import Unit
from handlers.api import Params
from media.gdt.base import REPORT_FIELDS, REPORT_PAGE, REPORT_REACH, TIME_LINES, GdtHandler, one_day


class GdtHourlyReportAd(GdtHandler):
    """Each ad's figures of every hour of one day, under each of the three time lines; no delivery, no row."""

    path = "hourly_reports/get"
    table = "tenant_gdt_hourly_report_ad_v3"
    row_key = RowKey("salt", "date", "account_id", "agent_id", "hour", "ad_id", "time_line", "tenant")
    fields = ("hour", *REPORT_FIELDS)
    variants = {"time_line": TIME_LINES}
    page_size, reach = REPORT_PAGE, REPORT_REACH

    def params(self, unit: Unit) -> Params:
        return unit.variant | {"level": "REPORT_LEVEL_AD", "date_range": one_day(unit), "group_by": ["hour", "ad_id"]}
