"""What makes an interface one of gdt. How the API is spoken is in `media.tencent`."""

from media.tencent.base import TencentHandler
from media.tencent.reports import DailyReport, HourlyReport


class GdtHandler(TencentHandler):
    """Base of the gdt interfaces."""

    medium = section = "gdt"


class GdtDailyReport(DailyReport, GdtHandler):
    """Base of the daily reports."""


class GdtHourlyReport(HourlyReport, GdtHandler):
    """Base of the hourly reports."""
