"""wx.b.daily_report_adgroup: each ad group's figures of one day."""

from ark.rows import RowKey
from media.wx.b.base import Report


class WxBDailyReportAdgroup(Report):
    """One row per ad group."""

    table = "tenant_wx_b_daily_report_adgroup_v1"
    row_key = RowKey("salt", "date", "account_id", "agent_id", "adgroup_id", "tenant")
    level = "ADGROUP"
