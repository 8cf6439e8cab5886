"""gdt.ads: the ads of each account (广告)."""

from ark.rows import RowKey
from media.gdt.base import GdtHandler


class GdtAds(GdtHandler):
    """Each ad that is not deleted."""

    path = "ads/get"
    table = "tenant_gdt_ads_get_v2"
    row_key = RowKey("salt", "date", "account_id", "agent_id", "ad_id", "tenant")
    source = "developers.e.qq.com, adsmanagement/ads_get"
    pages = "list_page"
