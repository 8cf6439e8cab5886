"""gdt.daily_report_ad: each ad's figures of one day."""

from ark.rows import RowKey
from ark.units import Unit
from handlers.api import Params
from media.gdt.base import REPORT_FIELDS, REPORT_PAGE, REPORT_REACH, TIME_LINES, GdtHandler, one_day


class GdtDailyReportAd(GdtHandler):
    """Each ad's figures of one day, under each of the three time lines; ads without delivery have no row."""

    path = "daily_reports/get"
    table = "tenant_gdt_daily_report_ad_v3"
    row_key = RowKey("salt", "date", "account_id", "agent_id", "ad_id", "tenant", "time_line")
    fields = (*REPORT_FIELDS, "date")
    variants = {"time_line": TIME_LINES}
    page_size, reach = REPORT_PAGE, REPORT_REACH

    def params(self, unit: Unit) -> Params:
        return unit.variant | {"level": "REPORT_LEVEL_AD", "date_range": one_day(unit), "group_by": ["date", "ad_id"]}
