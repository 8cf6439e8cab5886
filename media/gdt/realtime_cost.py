"""gdt.realtime_cost: what each account has spent today, up to now (实时消耗)."""

from ark.rows import RowKey
from ark.units import Unit
from handlers.api import Params
from media.gdt.base import GdtHandler


class GdtRealtimeCost(GdtHandler):
    """Cost of each account, in fen; the medium serves it for today only."""

    path = "realtime_cost/get"
    table = "tenant_gdt_realtime_cost_get_v2"
    row_key = RowKey("salt", "date", "account_id", "agent_id", "tenant")
    source = "developers.e.qq.com, apilist/tools/realtime_cost: date is today only, lower levels need a filter"
    pages = "list_page"

    def params(self, unit: Unit) -> Params:
        return {"level": "ADVERTISER", "date": f"{unit.date}"}
