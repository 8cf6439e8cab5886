"""jrtt.campaigns: the campaigns of each account (广告组)."""

from ark.rows import RowKey
from media.jrtt.base import Objects


class JrttCampaigns(Objects):
    """Each campaign; deleted ones where the setting jrtt.deleted says so."""

    path = "2/campaign/get/"
    table = "tenant_jrtt_campaign_get_v2"
    row_key = RowKey("salt", "date", "account_id", "agent_id", "campaign_id", "tenant")
    named = {"account_id": "advertiser_id", "campaign_id": "id|campaign_id"}
    source = "official client: campaign/get; deleted ones only where filtering.status asks for all"
    all_states = "CAMPAIGN_STATUS_ALL"
