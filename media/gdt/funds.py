"""gdt.funds: 余额."""

from ark.rows import RowKey
from media.gdt.base import GdtHandler


class GdtFunds(GdtHandler):
    """Balance of each account, one row per kind of fund."""

    path = "funds/get"
    table = "tenant_gdt_funds_get_v2"
    row_key = RowKey("salt", "date", "account_id", "agent_id", "fund_type", "tenant")
    source = "developers.e.qq.com, funds_get; seed 003 §2 (row key)"
