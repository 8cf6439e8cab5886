"""jrtt.report_advertiser: each account's figures of one day."""

from ark.rows import RowKey
from media.jrtt.base import Report


class JrttReportAdvertiser(Report):
    """One row per account, of zeros where nothing was delivered."""

    path = "2/report/advertiser/get/"
    table = "tenant_jrtt_report_advertiser_get_v2"
    row_key = RowKey("salt", "date", "account_id", "agent_id", "tenant")
    group_by = ("STAT_GROUP_BY_FIELD_STAT_TIME",)
