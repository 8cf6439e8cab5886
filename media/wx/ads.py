"""wx.ads: the ads of each account (广告)."""

from ark.rows import RowKey
from media.wx.base import WxHandler


class WxAds(WxHandler):
    """Each ad that is not deleted."""

    path = "ads/get"
    table = "tenant_wx_ads_get_v2"
    row_key = RowKey("salt", "date", "account_id", "agent_id", "ad_id", "tenant")
    source = "developers.e.qq.com, adsmanagement/ads_get"
    pages = "list_page"
