"""What makes an interface one of wx, in the dialect of the Marketing API. How that is spoken is in `media.tencent`."""

from media.tencent.base import TencentHandler
from media.tencent.reports import DailyReport, HourlyReport


class WxHandler(TencentHandler):
    """Base of the wx interfaces."""

    medium = section = "wx"


class WxDailyReport(DailyReport, WxHandler):
    """Base of the daily reports."""


class WxHourlyReport(HourlyReport, WxHandler):
    """Base of the hourly reports."""
