"""wx.b.campaigns: the campaigns of each account (推广计划)."""

from ark.rows import RowKey
from media.wx.b.base import WxBHandler


class WxBCampaigns(WxBHandler):
    """Each campaign, as the account's own token shows it."""

    path = "campaigns/get"
    table = "tenant_wx_b_campaigns_get_v1"
    row_key = RowKey("salt", "date", "account_id", "agent_id", "campaign_id", "tenant")
    source = "a maintained client's sample of marketing/campaigns/get"
    pages = "list_page"
