"""wx.b.adcreatives: the creatives of each account (创意)."""

from ark.rows import RowKey
from media.wx.b.base import WxBHandler


class WxBAdcreatives(WxBHandler):
    """Each creative, as the account's own token shows it."""

    path = "adcreatives/get"
    table = "tenant_wx_b_adcreatives_get_v1"
    row_key = RowKey("salt", "date", "account_id", "agent_id", "adcreative_id", "tenant")
    source = "a maintained client's sample of marketing/adcreatives/get"
    pages = "list_page"
