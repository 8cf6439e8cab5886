"""jrtt.child_fund: 余额 of second-generation agents (二代代理商) themselves."""

from ark.rows import RowKey
from media.jrtt.base import Fund


class JrttChildFund(Fund):
    """One row per agent, in yuan, with its own token or its first-generation agent's."""

    table = "tenant_jrtt_child_fund_get_v2"
    row_key = RowKey("salt", "date", "account_id", "agent_id", "tenant")
    works_on = "child_agents"
    opened_by = "account"
