"""wx.campaigns: the campaigns of each account (推广计划)."""

from ark.rows import RowKey
from media.wx.base import WxHandler


class WxCampaigns(WxHandler):
    """Each campaign that is not deleted."""

    path = "campaigns/get"
    table = "tenant_wx_campaigns_get_v2"
    row_key = RowKey("salt", "date", "account_id", "agent_id", "campaign_id", "tenant")
    source = "developers.e.qq.com, adsmanagement/campaigns_get"
    pages = "list_page"
