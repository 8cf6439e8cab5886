"""jrtt.report_ad: each ad's figures of one day (广告计划)."""

from ark.rows import RowKey
from media.jrtt.base import Report


class JrttReportAd(Report):
    """One row per ad."""

    path = "2/report/ad/get/"
    all_states = "AD_STATUS_ALL"
    table = "tenant_jrtt_report_ad_get_v2"
    row_key = RowKey("salt", "date", "account_id", "agent_id", "ad_id", "tenant")
