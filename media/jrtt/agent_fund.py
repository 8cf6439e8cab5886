"""jrtt.agent_fund: 余额 of first-generation agents (代理商) themselves."""

from ark.rows import RowKey
from media.jrtt.base import Fund


class JrttAgentFund(Fund):
    """One row per agent, in yuan."""

    table = "tenant_jrtt_agent_fund_get_v2"
    row_key = RowKey("salt", "date", "account_id", "agent_id", "tenant")
    works_on = "agents"
