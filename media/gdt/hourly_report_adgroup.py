"""gdt.hourly_report_adgroup: each ad group's figures of every hour of one day."""

from ark.rows import RowKey
from handlers.api import Level
from media.gdt.base import GdtHourlyReport
from media.gdt.daily_report_adgroup import GdtDailyReportAdgroup
from media.gdt.daily_report_campaign import GdtDailyReportCampaign
from media.tencent.reports import FIGURES


class GdtHourlyReportAdgroup(GdtHourlyReport):
    """Each ad group's figures of every hour of one day, by time line; no delivery, no row."""

    level = "REPORT_LEVEL_ADGROUP"
    groups = ("adgroup_id",)
    table = "tenant_gdt_hourly_report_adgroup_v3"
    row_key = RowKey("salt", "date", "account_id", "agent_id", "hour", "adgroup_id", "time_line", "tenant")
    fields = ("hour", "account_id", "campaign_id", "adgroup_id", *FIGURES)
    levels = (Level(GdtDailyReportCampaign, "campaign_id"), Level(GdtDailyReportAdgroup, "adgroup_id"))
