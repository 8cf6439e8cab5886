"""jrtt.report_creative: each creative's figures of one day (创意)."""

from ark.rows import RowKey
from handlers.api import Level
from media.jrtt.base import Report
from media.jrtt.report_ad import JrttReportAd
from media.jrtt.report_campaign import JrttReportCampaign


class JrttReportCreative(Report):
    """One row per creative. The medium cuts lists off at 5,000: those are asked for by campaign, then by ad."""

    path = "2/report/creative/get/"
    all_states = "CREATIVE_STATUS_ALL"
    table = "tenant_jrtt_report_creative_get_v2"
    row_key = RowKey("salt", "date", "account_id", "agent_id", "creative_id", "tenant")
    reach = 5_000
    levels = (Level(JrttReportCampaign, "campaign_id"), Level(JrttReportAd, "ad_id"))
