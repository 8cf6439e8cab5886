"""The dialect of wx that it shares with gdt: the same addresses, signing and refusals for WeChat's own agents.

Whose token it is decides which medium is meant; `wechat_*` is of wx alone. Facts: the official SDKs of 2020; WeChat's
own limits of dates and rows are not known, gdt's are taken.
"""

from collections.abc import Mapping

from media.simulator import scenario as scenarios
from media.simulator.gdt import Gdt
from media.simulator.gdt_truth import PATHS
from media.simulator.scenario import Scenario
from media.simulator.wx_data import WxData
from media.simulator.wx_pages import WxPages


class Wx(Gdt):
    """wx as one scenario has it."""

    name = "wx"
    account_type = "ACCOUNT_TYPE_WECHAT"
    pages = WxPages
    data = WxData
    foreign: tuple[str, ...] = ()
    paths: Mapping[str, str] = {
        **{name: path for name, path in PATHS.items() if name != "realtime_cost"},
        "advertisers": "wechat_advertiser/get",
        "funds": "wechat_funds/get",
        "agency": "wechat_agency/get",
        "daily_cost": "wechat_daily_cost/get",
    }

    def section(self, scenario: Scenario) -> scenarios.Gdt:
        return scenario.wx
