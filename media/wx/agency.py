"""wx.agency: the agent (代理商) itself."""

from collections.abc import Sequence

from msgspec import Raw

from ark.answers import Answer
from ark.rows import RowKey
from ark.units import Unit
from handlers.api import Params
from media.wx.base import WxHandler


class WxAgency(WxHandler):
    """One row per agent: its names, and how many accounts of which kind it has."""

    path = "wechat_agency/get"
    table = "tenant_wx_agency_get_v2"
    row_key = RowKey("salt", "date", "account_id", "agent_id", "tenant")
    source = "official client of 2020-12: wechat_agency/get answers one object"
    by, of_agent = "agent", True

    def params(self, unit: Unit) -> Params:
        return {"account_id": unit.agent_id}

    def records(self, answer: Answer) -> Sequence[Raw]:
        return answer.data_object()
