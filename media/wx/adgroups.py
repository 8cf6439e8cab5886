"""wx.adgroups: the ad groups of each account (广告组)."""

from ark.rows import RowKey
from media.wx.base import WxHandler


class WxAdgroups(WxHandler):
    """Each ad group that is not deleted."""

    path = "adgroups/get"
    table = "tenant_wx_adgroups_get_v2"
    row_key = RowKey("salt", "date", "account_id", "agent_id", "adgroup_id", "tenant")
    source = "developers.e.qq.com, adsmanagement/adgroups_get"
    pages = "list_page"
