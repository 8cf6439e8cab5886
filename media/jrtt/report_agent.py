"""jrtt.report_agent: what each account of an agent has spent on one day; feeds the second-generation account list."""

from ark.rows import RowKey
from ark.units import Unit
from handlers.api import Params
from media.jrtt.base import JrttHandler, one_day


class JrttReportAgent(JrttHandler):
    """One row per account."""

    path = "2/report/agent/get_v2/"
    table = "tenant_jrtt_report_agent_get_v2"
    row_key = RowKey("salt", "date", "account_id", "agent_id", "tenant")
    source = "official client: report/agent/get_v2; seed 003 §1.2 (it brings the second generation's accounts)"
    by, subject = "agent", "agent_id"
    pages = "list_page"
    feeds = "child_accounts"
    restated, complete_at = 8, 8

    def params(self, unit: Unit) -> Params:
        return one_day(unit)
