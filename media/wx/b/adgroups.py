"""wx.b.adgroups: the ad groups of each account (广告组)."""

from ark.rows import RowKey
from media.wx.b.base import WxBHandler


class WxBAdgroups(WxBHandler):
    """Each ad group, as the account's own token shows it."""

    path = "adgroups/get"
    table = "tenant_wx_b_adgroups_get_v1"
    row_key = RowKey("salt", "date", "account_id", "agent_id", "adgroup_id", "tenant")
    source = "a maintained client's sample of marketing/adgroups/get"
    pages = "list_page"
