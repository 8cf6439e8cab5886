"""wx.b.funds: 余额."""

from ark.rows import RowKey
from media.wx.b.base import WxBHandler


class WxBFunds(WxBHandler):
    """Balance of each account, one row per kind of fund."""

    path = "funds/get"
    version = "v1.1"
    table = "tenant_wx_b_funds_get_v1"
    row_key = RowKey("salt", "date", "account_id", "agent_id", "fund_type", "tenant")
    source = "a maintained client's sample of marketing/funds/get, which is version v1.1"
