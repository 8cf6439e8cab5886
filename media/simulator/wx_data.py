"""What wx knows about an account: as gdt, with WeChat's ids and kinds of funds."""

from collections.abc import Mapping, Sequence
from datetime import date

from media.simulator.gdt_data import TIME_LINES, GdtData
from media.simulator.gdt_reports import Query, grouped
from media.simulator.world import Agent


class WxData(GdtData):
    """The numbers of one seed and scenario."""

    site_sets = ("SITE_SET_WECHAT", "SITE_SET_MOMENTS")
    campaign_types = ("CAMPAIGN_TYPE_WECHAT_OFFICIAL_ACCOUNTS", "CAMPAIGN_TYPE_WECHAT_MOMENTS")
    fund_types = ("FUND_TYPE_CASH", "FUND_TYPE_CREDIT_ROLL", "FUND_TYPE_GIFT", "FUND_TYPE_SPECIAL_PROMOTION")

    def funds(self, account: str) -> list[dict[str, object]]:
        """Its funds; a credit has its limit beside it, with a misspelled name as the media have it."""
        rows = [{"fund_type": row["fund_type"], "balance": row["balance"]} for row in super().funds(account)]
        for row in rows:
            if row["fund_type"] == "FUND_TYPE_CREDIT_ROLL":
                usable = int(str(row["balance"]))
                row["credit_roll_spec"] = {
                    "limit_amount": usable + 100_000, "used_amount": 100_000, "usable_amout": usable,
                }  # fmt: skip
        return rows

    def advertiser(self, _agent: Agent, account: str) -> dict[str, object]:
        """Its line in the list of accounts."""
        return {"account_id": int(account), "wechat_account_id": self.wechat_id(account)}

    def agency(self, agent: Agent) -> dict[str, object]:
        """An agency's own record."""
        return {
            "account_id": int(agent.id),
            "wechat_account_id": self.wechat_id(agent.id),
            "wechat_account_name": f"agency-{agent.id}",
            "corporation_name": f"agency-{agent.id}",
            "advertiser_info_spec": {"advertiser_count": agent.size},
        }

    def daily_cost(self, account: str, start: date, end: date, now: float) -> list[dict[str, object]]:
        """What an account has cost, the days without delivery left out."""
        asked = Query("daily_reports/get", account, start, end, ("date",), TIME_LINES[0])
        return [
            {
                "account_id": int(account),
                "wechat_account_id": self.wechat_id(account),
                "date": group.about["date"],
                "cost": group.delivery.cost,
            }
            for group in grouped(self, asked, now)
        ]

    def told(self, path: str, agent: Agent, account: str, day: date, now: float) -> Sequence[Mapping[str, object]]:
        match path:
            case "wechat_advertiser/get":
                return [self.advertiser(agent, account)]
            case "wechat_agency/get":
                return [self.agency(agent)]
            case "wechat_daily_cost/get":
                return self.daily_cost(account, day, day, now)
            case _:
                return self.funds(account)

    def beside(self, agent: Agent, account: str) -> Mapping[str, str]:
        return {"wechat_account_id": self.wechat_id(account), "wechat_agency_id": self.wechat_id(agent.id)}

    def wechat_id(self, account: str) -> str:
        """The id of an official account, as an app has it."""
        return f"wx{self._ids.roll('wechat', account)[:8].hex()}"
