"""jrtt.account_info: name, company, state of each account; a hundred accounts per call."""

from ark.rows import RowKey
from ark.units import Unit
from handlers.api import Params
from media.jrtt.base import JrttHandler, numbers


class JrttAccountInfo(JrttHandler):
    """Where one account is forbidden the medium refuses all hundred: they are asked for in halves until it is alone."""

    path = "2/advertiser/info/"
    table = "tenant_jrtt_advertiser_info_v2"
    row_key = RowKey("salt", "date", "account_id", "agent_id", "tenant")
    named = {"account_id": "id"}
    source = "official client: advertiser/info, 1 to 100 ids, answers an array"
    subject, batch = "", 100

    def params(self, unit: Unit) -> Params:
        return {"advertiser_ids": numbers(unit.accounts)}
