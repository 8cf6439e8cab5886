"""jrtt.accounts: the accounts of a first-generation agent (代理商); fills the account list."""

from ark.rows import RowKey
from media.jrtt.base import JrttHandler


class JrttAccounts(JrttHandler):
    """The ids alone, as the medium lists them; account_info has the rest."""

    path = "2/agent/advertiser/select/"
    table = "tenant_jrtt_advertiser_select_v2"
    row_key = RowKey("salt", "date", "account_id", "agent_id", "tenant")
    named = {"account_id": ""}
    source = "official client: agent/advertiser/select answers bare ids; its pages reach 10,000, cursors all"
    by = "agent"
    pages, reach, cursors = "list_page", 10_000, True
    fills = "accounts"
