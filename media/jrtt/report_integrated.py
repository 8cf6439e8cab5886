"""jrtt.report_integrated: figures of one day by ad and keyword (多合一数据报表)."""

from ark.rows import RowKey
from ark.units import Unit
from handlers.api import Params
from media.jrtt.base import Report, one_day

_PLACES = {"account_id": "advertiser_id", "date": "stat_datetime", "ad_id": "ad_id", "bidword_id": "bidword_id"}


class JrttReportIntegrated(Report):
    """One row per ad and keyword, the group-by of seed 003."""

    path = "2/report/integrated/get/"
    table = "tenant_jrtt_report_integrated_get_v2"
    row_key = RowKey("salt", "date", "account_id", "agent_id", "ad_id", "bidword_id", "tenant")
    named = {field: f"dimensions.{place}" for field, place in _PLACES.items()}
    source = "recorded third-party client of 2021: report/integrated/get; seed 003 §1.3"

    def params(self, unit: Unit) -> Params:
        return one_day(unit) | {"group_by": ["STAT_GROUP_BY_BIDWORD_ID", "STAT_GROUP_BY_AD_ID"]}
