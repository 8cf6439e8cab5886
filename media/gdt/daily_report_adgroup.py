"""gdt.daily_report_adgroup: each ad group's figures of one day."""

from ark.rows import RowKey
from handlers.api import Level
from media.gdt.base import GdtDailyReport
from media.gdt.daily_report_campaign import GdtDailyReportCampaign
from media.tencent.reports import FIGURES


class GdtDailyReportAdgroup(GdtDailyReport):
    """Each ad group's figures of one day, by time line; no delivery, no row."""

    level = "REPORT_LEVEL_ADGROUP"
    groups = ("adgroup_id", "site_set")
    table = "tenant_gdt_daily_report_adgroup_v3"
    row_key = RowKey("salt", "date", "account_id", "agent_id", "adgroup_id", "site_set", "tenant", "time_line")
    fields = ("date", "account_id", "campaign_id", "adgroup_id", "site_set", *FIGURES)
    levels = (Level(GdtDailyReportCampaign, "campaign_id"),)
