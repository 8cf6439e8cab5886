"""jrtt.child_accounts: the accounts of a second-generation agent (二代子账户); fills the list of those."""

from ark.rows import RowKey
from media.jrtt.base import JrttHandler


class JrttChildAccounts(JrttHandler):
    """The ids alone. The agent uses its own token or its first-generation agent's."""

    path = "2/agent/advertiser/select/"
    table = "tenant_jrtt_child_advertiser_select_v2"
    row_key = RowKey("salt", "date", "account_id", "agent_id", "tenant")
    named = {"account_id": ""}
    source = "official client: agent/advertiser/select takes second-generation agents; pages reach 10,000, cursors all"
    by = "agent"
    pages, reach, cursors = "list_page", 10_000, True
    fills, may_be_empty = "child_accounts", True
