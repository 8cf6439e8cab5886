"""jrtt.creatives: the creatives of each account (创意)."""

from ark.rows import RowKey
from media.jrtt.base import Objects


class JrttCreatives(Objects):
    """Each creative; deleted ones where the setting jrtt.deleted says so."""

    path = "2/creative/get/"
    table = "tenant_jrtt_creative_get_v2"
    row_key = RowKey("salt", "date", "account_id", "agent_id", "creative_id", "tenant")
    named = {"account_id": "advertiser_id", "creative_id": "creative_id|id"}
    source = "official client: creative/get; deleted ones only where filtering.status asks for all"
    all_states = "CREATIVE_STATUS_ALL"
