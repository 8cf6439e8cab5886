"""gdt.advertisers: the accounts of an agent (代理商); fills the account list that the other interfaces work from."""

from ark.rows import RowKey
from media.gdt.base import GdtHandler


class GdtAdvertisers(GdtHandler):
    """Every account under an agent, with its state and company."""

    path = "advertiser/get"
    table = "tenant_gdt_advertiser_get_v2"
    row_key = RowKey("salt", "date", "account_id", "agent_id", "tenant")
    source = "developers.e.qq.com, advertiser_get; an agency that names no account gets all of its own"
    by = "agent"
    pages, reach = "list_page", 100_000
    fills = "accounts"
