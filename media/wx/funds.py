"""wx.funds: 余额, and what an account's funds are usable for."""

from collections.abc import Sequence

from msgspec import Raw

from ark.answers import Answer
from ark.rows import RowKey
from media.wx.base import WxHandler
from media.wx.memo import memo


class WxFunds(WxHandler):
    """Balance of each account, one row per kind of fund, and one of kind `memo` with what stands beside the list."""

    path = "wechat_funds/get"
    table = "tenant_wx_funds_get_v2"
    row_key = RowKey("salt", "date", "account_id", "agent_id", "fund_type", "tenant")
    source = "official client of 2020-12: wechat_funds/get, list and memo.wechat_fund_spec"

    def records(self, answer: Answer) -> Sequence[Raw]:
        return [*(answer.records or ()), *memo(answer.data)]
