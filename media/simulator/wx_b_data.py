"""What WeChat's own dialect tells about an account: gdt's numbers under other names."""

from collections.abc import Iterator, Mapping
from datetime import date

from media.simulator.gdt_data import TIME_LINES, GdtData
from media.simulator.gdt_objects import objects
from media.simulator.gdt_reports import Condition, Group, Query, grouped

Record = Mapping[str, object]

LEVELS: Mapping[str, tuple[str, ...]] = {"CAMPAIGN": ("campaign_id",), "ADGROUP": ("adgroup_id",)}
"""Level of a report, or of the cost of today -> what its rows are about."""
RENAMED = {"promoted_object_type": "product_type", "promoted_object_id": "product_refs_id"}


class WxBData(GdtData):
    """The numbers of one seed and scenario."""

    fund_types = ("GENERAL_CASH", "GENERAL_GIFT", "FUND_TYPE_MINIPROGRAM")
    site_sets = ("SITE_SET_WECHAT", "SITE_SET_MOMENTS")
    campaign_types = ("CAMPAIGN_TYPE_WECHAT_OFFICIAL_ACCOUNTS", "CAMPAIGN_TYPE_WECHAT_MOMENTS")

    def funds(self, account: str) -> list[dict[str, object]]:
        """Its funds; a mini program's has its limit beside it."""
        rows = [{"fund_type": row["fund_type"], "balance": row["balance"]} for row in super().funds(account)]
        for row in rows:
            if row["fund_type"] == "FUND_TYPE_MINIPROGRAM":
                usable = int(str(row["balance"]))
                row["credit_roll_spec"] = {
                    "limit_amount": usable + 50_000, "usable_amount": usable, "used_amount": 50_000,
                }  # fmt: skip
        return rows

    def itself(self, account: str) -> Record:
        """Its own record."""
        dice = self._accounts.roll(account)
        return {
            "wechat_account_name": f"公众号{dice[0]}{dice[1]}",
            "system_status": "MP_STATUS_NORMAL",
            "industry_id": 2000 + dice[2],
            "contact_person": f"contact-{dice[3]}",
            "contact_person_telephone": f"135{dice[4]:08d}",
            "business_type": "OFFLINE",
            "business_content": "",
        }

    def objects(self, interface: str, account: str, conditions: tuple[Condition, ...] = ()) -> list[Record]:
        """Its campaigns, adgroups, ads or creatives."""
        rows = (
            {RENAMED.get(name, name): _product(value) for name, value in row.items() if name != "is_deleted"}
            for row in objects(self, interface, account, (), deleted=False)
        )
        return [row for row in rows if all(each.holds(row.get(each.field)) for each in conditions)]

    def report(self, account: str, level: str, start: date, end: date, now: float) -> list[Record]:
        """What was delivered by day; an id that a row is not about is 0."""
        return [
            {
                "date": group.about["date"],
                **_about(group, level),
                "impression": group.delivery.views,
                "click": group.delivery.clicks,
                "cost": group.delivery.cost,
                "like_or_comment": group.delivery.conversions // 2,
                "image_click": group.delivery.clicks // 3,
                "follow": group.delivery.conversions,
                "share": group.delivery.conversions // 5,
                "lbs_wechat_pv": group.delivery.downloads,
                "lbs_wechat_uv": group.delivery.activations,
            }
            for group in self._groups(account, level, start, end, now)
        ]

    def cost_today(self, account: str, level: str, now: float, conditions: tuple[Condition, ...] = ()) -> list[Record]:
        """What today has cost so far."""
        today = self.today(now)
        return [
            {
                "campaign_id": group.about.get("campaign_id", 0),
                "adgroup_id": group.about.get("adgroup_id", 0),
                "cost": group.delivery.cost,
            }
            for group in self._groups(account, level, today, today, now)
            if all(each.holds(group.about.get(each.field)) for each in conditions)
        ]

    def leads(self, account: str, start: date, end: date, now: float) -> Iterator[Record]:
        """Who left a telephone number: one for each campaign and day that delivered."""
        for group in self._groups(account, "CAMPAIGN", start, end, now):
            luck = self._accounts.roll("lead", account, group.about["campaign_id"], group.about["date"])
            day = date.fromisoformat(str(group.about["date"]))
            yield {
                "click_id": f"wx{luck[:8].hex()}",
                "click_time": (day.toordinal() - date(1970, 1, 1).toordinal()) * 86_400 + luck[8] * 100,
                "leads_id": int.from_bytes(luck[9:13], "big"),
                "leads_tel": f"135{int.from_bytes(luck[13:16], 'big'):08d}",
                "campaign_id": str(group.about["campaign_id"]),
            }

    def _groups(self, account: str, level: str, start: date, end: date, now: float) -> list[Group]:
        asked = Query("daily_reports/get", account, start, end, ("date", *LEVELS[level]), TIME_LINES[0])
        return grouped(self, asked, now)


def _about(group: Group, level: str) -> Record:
    names: dict[str, object] = {"campaign_id": 0, "campaign_name": "", "adgroup_id": 0, "adgroup_name": ""}
    kind = level.lower()
    return {**names, **{name: group.about[name] for name in (f"{kind}_id", f"{kind}_name")}}


def _product(value: object) -> object:
    return value.replace("PROMOTED_OBJECT_TYPE_", "PRODUCT_TYPE_") if isinstance(value, str) else value
