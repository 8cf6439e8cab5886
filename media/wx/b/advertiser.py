"""wx.b.advertiser: each account's own record: name, state, trade."""

from collections.abc import Sequence

from msgspec import Raw

from ark.answers import Answer
from ark.rows import RowKey
from media.wx.b.base import WxBHandler


class WxBAdvertiser(WxBHandler):
    """One row per account; the token says which."""

    path = "advertiser/get"
    table = "tenant_wx_b_advertiser_get_v1"
    row_key = RowKey("salt", "date", "account_id", "agent_id", "tenant")
    source = "a maintained client's sample of marketing/advertiser/get: one object, no parameters"

    def records(self, answer: Answer) -> Sequence[Raw]:
        return answer.data_object()
