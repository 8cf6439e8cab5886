"""gdt.adcreatives: the creatives of each account (创意)."""

from ark.rows import RowKey
from media.gdt.base import GdtHandler


class GdtAdcreatives(GdtHandler):
    """Each creative that is not deleted."""

    path = "adcreatives/get"
    table = "tenant_gdt_adcreatives_get_v2"
    row_key = RowKey("salt", "date", "account_id", "agent_id", "adcreative_id", "tenant")
    source = "developers.e.qq.com, adsmanagement/adcreatives_get"
    pages = "list_page"
