"""jrtt.child_agents: the second-generation agents (二代代理商) of a first-generation one; keeps who is whose."""

from ark.rows import RowKey
from media.jrtt.base import JrttHandler


class JrttChildAgents(JrttHandler):
    """The ids alone, as the medium lists them."""

    path = "2/agent/child_agent/select/"
    table = "tenant_jrtt_child_agent_select_v2"
    row_key = RowKey("salt", "date", "account_id", "agent_id", "tenant")
    named = {"account_id": ""}
    source = "official client: agent/child_agent/select answers bare ids"
    by = "agent"
    pages, reach = "list_page", 10_000
    fills, may_be_empty = "child_agents", True
