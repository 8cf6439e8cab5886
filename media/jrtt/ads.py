"""jrtt.ads: the ads of each account (广告计划)."""

from ark.rows import RowKey
from media.jrtt.base import Objects


class JrttAds(Objects):
    """Each ad; deleted ones where the setting jrtt.deleted says so."""

    path = "2/ad/get/"
    table = "tenant_jrtt_ad_get_v2"
    row_key = RowKey("salt", "date", "account_id", "agent_id", "ad_id", "tenant")
    named = {"account_id": "advertiser_id", "ad_id": "id|ad_id"}
    source = "official client: ad/get; deleted ones only where filtering.status asks for all"
    all_states = "AD_STATUS_ALL"
