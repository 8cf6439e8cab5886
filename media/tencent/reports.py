"""What the reports of the Marketing API share: one day, three time lines, pages up to 10,000 records, later changes.

Sources: developers.e.qq.com, ad_insights pages (levels, groups, time lines) and the notice of 2019-04-15 (page x
page_size <= 10,000); seed 003 §2 (the three time lines and their place in the row key).
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from ark.units import Unit
from handlers.api import Params
from media.tencent.base import TencentHandler

TIME_LINES = ("REQUEST_TIME", "REPORTING_TIME", "ACTIVE_TIME")
"""The time that counts for a conversion: of the impression, of its report, of the activation."""
REACH = 10_000
RESTATED = 7
"""Days; the medium documents no end. Conversions are counted on the day of the impression or activation."""
COMPLETE_AT = 8
"""The day before is complete at about 08:00."""
FIGURES = (
    "view_count", "valid_click_count", "ctr", "cpc", "cost", "thousand_display_price",
    "download_count", "activated_count", "activated_rate", "activated_cost",
    "conversions_count", "conversions_cost", "conversions_rate", "key_page_view_count", "order_amount", "order_roi",
)  # fmt: skip
"""The figures that every level is asked for."""
OF_AD = ("account_id", "campaign_id", "adgroup_id", "ad_id", "promoted_object_type", "promoted_object_id")
"""What an ad's record tells beside its figures (seed 003 §2)."""


class Report(TencentHandler):
    """One level's figures of one day; ids without delivery have no record."""

    variants: ClassVar[Mapping[str, Sequence[str]]] = {"time_line": TIME_LINES}
    pages, reach, whole_pages = "report_page", REACH, True
    restated, complete_at = RESTATED, COMPLETE_AT
    level: ClassVar[str]
    """The medium's name of the level: `REPORT_LEVEL_AD`."""
    each: ClassVar[str]
    """What a level has a record of: each `date` or each `hour`."""
    groups: ClassVar[Sequence[str]] = ()
    """The ids that it has a record of, beside the date or hour."""

    def params(self, unit: Unit) -> Params:
        day = {"start_date": f"{unit.date}", "end_date": f"{unit.date}"}
        return unit.variant | {"level": self.level, "date_range": day, "group_by": [self.each, *self.groups]}


class DailyReport(Report):
    """Figures of a whole day."""

    path = "daily_reports/get"
    each = "date"
    source = "developers.e.qq.com, daily_reports_get; seed 003 §2"


class HourlyReport(Report):
    """Figures of every hour of one day; the record does not tell the day (official client of 2020)."""

    path = "hourly_reports/get"
    each = "hour"
    source = "developers.e.qq.com, hourly_reports_get; seed 003 §2"
