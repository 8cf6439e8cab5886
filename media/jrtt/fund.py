"""jrtt.fund: 余额 of each account, of either generation."""

from ark.rows import RowKey
from media.jrtt.base import Fund


class JrttFund(Fund):
    """One row per account, in yuan."""

    table = "tenant_jrtt_advertiser_fund_get_v2"
    row_key = RowKey("salt", "date", "account_id", "agent_id", "tenant")
