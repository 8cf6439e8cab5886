"""wx.advertisers: the accounts of an agent (代理商); fills the account list that the other interfaces work from."""

from ark.rows import RowKey
from media.wx.base import WxHandler


class WxAdvertisers(WxHandler):
    """Every account under an agent, with its WeChat account."""

    path = "wechat_advertiser/get"
    table = "tenant_wx_advertiser_get_v2"
    row_key = RowKey("salt", "date", "account_id", "agent_id", "tenant")
    source = "official client of 2020-12: wechat_advertiser/get, page_size up to 100"
    by = "agent"
    pages = "list_page"
    fills = "accounts"
