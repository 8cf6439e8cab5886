"""jrtt.report_campaign: each campaign's figures of one day (广告组)."""

from ark.rows import RowKey
from media.jrtt.base import Report


class JrttReportCampaign(Report):
    """One row per campaign."""

    path = "2/report/campaign/get/"
    all_states = "CAMPAIGN_STATUS_ALL"
    table = "tenant_jrtt_report_campaign_get_v2"
    row_key = RowKey("salt", "date", "account_id", "agent_id", "campaign_id", "tenant")
