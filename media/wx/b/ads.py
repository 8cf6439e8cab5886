"""wx.b.ads: the ads of each account (广告)."""

from ark.rows import RowKey
from media.wx.b.base import WxBHandler


class WxBAds(WxBHandler):
    """Each ad, as the account's own token shows it."""

    path = "ads/get"
    table = "tenant_wx_b_ads_get_v1"
    row_key = RowKey("salt", "date", "account_id", "agent_id", "ad_id", "tenant")
    source = "a maintained client's sample of marketing/ads/get"
    pages = "list_page"
